// Chain plans that say what simulate() finds.
#pragma once

#include <string>
#include <vector>

#include <remat/graph.h>

namespace remat::plan {

/// A plan of these actions, which are valid for the chain. Its budget is its peak.
/// Errors: InvalidArgument if its time adds up to 2^63 ns or more.
ChainPlan described_plan(const Chain& chain, std::vector<ChainAction> actions, std::string planner);

}  // namespace remat::plan

// What a chain must fulfil beyond the types of its members.
#pragma once

#include <string>

#include <remat/graph.h>

namespace remat::graph {

/// Every sum of sizes that an execution can form, and the plain time, then stay below 2^63.
/// Errors: InvalidArgument that names `source`, the place in the chain and what is there, if there is no
///         stage, a stage has no option, or sizes or times are negative or add up to 2^63 or more.
void check_chain(const Chain& chain, const std::string& source);

}  // namespace remat::graph

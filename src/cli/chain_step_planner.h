// Planners of chains behind StepPlanner.
#pragma once

#include <memory>

#include <remat/graph.h>

#include "cli/planner_choice.h"
#include "cli/step_planner.h"

namespace remat::cli {

/// `choice` is any but kGraph.
std::unique_ptr<StepPlanner> make_chain_step_planner(const Chain& chain,
                                                     const PlannerChoice& choice);

}  // namespace remat::cli

// Planners of op graphs behind StepPlanner.
#pragma once

#include <memory>

#include <remat/graph.h>

#include "cli/planner_choice.h"
#include "cli/step_planner.h"

namespace remat::cli {

/// `choice` is kAuto, kGraph or kPlacement.
std::unique_ptr<StepPlanner> make_graph_step_planner(const OpGraph& graph,
                                                     const PlannerChoice& choice,
                                                     const SearchLimits& limits);

}  // namespace remat::cli

// `remat plan --explain`: why the plan is what it is.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include <remat/bytes.h>
#include <remat/graph.h>

#include "cli/step_planner.h"
#include "plan/explanation.h"
#include "plan/time_bound.h"

namespace remat::cli {

/// What more memory would bring.
struct NextBytes {
  Bytes bytes;  ///< above the budget: 1 GiB, less where the plain step is near
  std::chrono::nanoseconds saved{0};  ///< what the plan found there takes less
};

/// Searched at the larger budget, from the plan of `step` on. None where the plain step fits or the
/// planner does not search.
std::optional<NextBytes> price_of_next_bytes(const StepPlanner& planner, const PlannedStep& step);

/// Of a plan for an op graph that fits.
struct GraphExplanation {
  plan::Explanation plan;
  plan::TimeBound bound;
  std::optional<NextBytes> next;
};

GraphExplanation explain(const OpGraph& graph, const StepPlanner& planner, const PlannedStep& step);

nlohmann::ordered_json json_of(const GraphExplanation& explanation);

/// Tables of what is kept, replayed and live at the peak, and what more memory would bring.
std::string text_of(const GraphExplanation& explanation, const OpGraph& graph,
                    const PlannedStep& step);

}  // namespace remat::cli

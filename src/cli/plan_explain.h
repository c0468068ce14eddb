// `remat plan --explain`: why the plan is what it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include <remat/bytes.h>

#include "cli/plan_input.h"
#include "cli/step_planner.h"
#include "plan/explanation.h"

namespace remat::cli {

/// What more memory would bring.
struct NextBytes {
  Bytes bytes;  ///< above the budget: 1 GiB, less where the plain step is near
  std::chrono::nanoseconds saved{0};  ///< what the plan found there takes less
};

/// Searched at the larger budget, from the plan of `step` on. None where the plain step fits or the
/// planner does not search.
std::optional<NextBytes> price_of_next_bytes(const StepPlanner& planner, const PlannedStep& step);

/// The first run of an op that, by itself, proves the bound: docs of plan::TimeBound.
struct BoundMoment {
  std::int64_t op_id = 0;
  std::string op;
  Bytes plain;          ///< live then in the plain step
  Bytes in_every_plan;  ///< of it
};

/// Of a plan that fits.
struct PlanExplanation {
  plan::Explanation plan;
  std::optional<BoundMoment> bound;  ///< of op graphs, where the plain step does not fit
  std::optional<NextBytes> next;
};

PlanExplanation explain(const PlanInput& input, const StepPlanner& planner,
                        const PlannedStep& step);

nlohmann::ordered_json json_of(const PlanExplanation& explanation);

/// Tables of what is kept, replayed and live at the peak, and what more memory would bring.
std::string text_of(const PlanExplanation& explanation, const PlannedStep& step);

}  // namespace remat::cli

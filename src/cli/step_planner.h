// One planner on one op graph or chain, as `remat plan` asks it: a plan for this budget, then for that.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include <remat/bytes.h>
#include <remat/graph.h>

#include "cli/plan_input.h"
#include "cli/planner_choice.h"

namespace remat::cli {

using AnyPlan = std::variant<Plan, ChainPlan>;

/// What came of one budget.
struct PlannedStep {
  std::string planner;  ///< "graph", "sqrt", ...
  AnyPlan plan;         ///< the best found; of the least peak found where none fits
  bool feasible = false;
  Bytes budget;
  Bytes predicted_peak;
  Bytes plain_peak;
  Bytes min_feasible;  ///< the smallest budget for which a plan was found
  std::chrono::nanoseconds plain_time{0};
  std::chrono::nanoseconds predicted_time{0};
  std::chrono::nanoseconds lower_bound_time{0};
  std::chrono::nanoseconds solve_time{0};
  std::string stopped_by;  ///< "effort", "time", "optimal", "optimal_persistent", "slots"; "rule"
  Bytes kept;              ///< what forward made and holds as backward begins
  std::int64_t recomputed = 0;  ///< runs beyond the first of each op or stage
};

struct SearchLimits {
  std::int64_t effort = 0;  ///< 0: the planner's default
  std::optional<std::chrono::nanoseconds> time_limit;
};

/// Lifetime: of the op graph or chain that it was made for.
class StepPlanner {
 public:
  virtual ~StepPlanner() = default;

  /// `warm_start` is a plan for the same step: where it fits, the result takes no longer.
  /// Errors: InvalidArgument where it is not.
  virtual PlannedStep plan(Bytes memory, const AnyPlan* warm_start) const = 0;

  /// Any plan needs this much. It may be that none makes do with it.
  virtual Bytes floor() const = 0;

  /// Whether plans differ with the budget.
  virtual bool searches() const = 0;
};

/// Errors: InvalidArgument that says which planners there are for `input` if this is not one of them.
std::unique_ptr<StepPlanner> make_step_planner(const PlanInput& input, const PlannerChoice& choice,
                                               const SearchLimits& limits);

}  // namespace remat::cli

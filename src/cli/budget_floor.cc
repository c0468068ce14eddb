#include "cli/budget_floor.h"

#include <algorithm>

#include <remat/error.h>
#include <remat/planner.h>

#include "base/check.h"
#include "cli/budget_run.h"

namespace remat::cli {
namespace {

// More than any machine has, and far from overflowing.
constexpr Bytes kAmple(std::int64_t{1} << 50);

constexpr int kTries = 8;

struct Range {
  Bytes planned;  // the least peak of a plan
  Bytes plain;
};

Range range_of(const BudgetOptions& refused, const std::function<void(Budget&)>& step) {
  BudgetOptions ample = refused;
  ample.memory = kAmple;
  Budget budget(ample);
  step(budget);
  GraphPlanOptions options;
  options.memory = refused.memory;
  options.effort = refused.effort;
  return {plan_graph(*budget.graph(), options).min_feasible, budget.report().tracked_peak};
}

bool works(const BudgetOptions& options, const std::function<void(Budget&)>& step) {
  try {
    Budget budget(options);
    settle(budget, [&] { step(budget); });
    return true;
  } catch (const BudgetError&) {
    return false;
  }
}

}  // namespace

Bytes smallest_working_budget(const BudgetOptions& refused,
                              const std::function<void(Budget&)>& step) {
  const auto [planned, plain] = range_of(refused, step);
  const Bytes least = std::max(planned, refused.memory);
  for (int i = 0; i <= kTries; ++i) {
    BudgetOptions tried = refused;
    tried.memory = least + (plain - least) * i / kTries;
    if (tried.memory > refused.memory && works(tried, step)) return tried.memory;
  }
  fail<Error>("a step of {} at its peak does not fit a budget of as much", plain.to_string());
}

}  // namespace remat::cli

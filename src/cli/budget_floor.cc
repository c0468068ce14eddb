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

Range range_of(Bytes refused, std::int64_t effort, const std::function<void(Budget&)>& step) {
  Budget budget({kAmple, effort});
  step(budget);
  GraphPlanOptions options;
  options.memory = refused;
  options.effort = effort;
  return {plan_graph(*budget.graph(), options).min_feasible, budget.report().tracked_peak};
}

bool works(Bytes memory, std::int64_t effort, const std::function<void(Budget&)>& step) {
  try {
    Budget budget({memory, effort});
    settle(budget, [&] { step(budget); });
    return true;
  } catch (const BudgetError&) {
    return false;
  }
}

}  // namespace

Bytes smallest_working_budget(Bytes refused, std::int64_t effort,
                              const std::function<void(Budget&)>& step) {
  const auto [planned, plain] = range_of(refused, effort, step);
  const Bytes least = std::max(planned, refused);
  for (int i = 0; i <= kTries; ++i) {
    const Bytes memory = least + (plain - least) * i / kTries;
    if (memory > refused && works(memory, effort, step)) return memory;
  }
  fail<Error>("a step of {} at its peak does not fit a budget of as much", plain.to_string());
}

}  // namespace remat::cli

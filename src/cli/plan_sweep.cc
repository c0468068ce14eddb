#include "cli/plan_sweep.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/progress.h"

namespace remat::cli {
namespace {

std::vector<Bytes> evenly_spaced(Bytes first, Bytes last, std::int64_t count) {
  const auto gaps = std::max<std::int64_t>(count - 1, 1);
  const auto [whole, rest] = std::lldiv((last - first).count(), gaps);
  std::vector<Bytes> budgets;
  for (std::int64_t i = 0; i < count; ++i) {
    budgets.push_back(first + Bytes(whole * i + rest * i / gaps));
  }
  return budgets;
}

std::size_t nearest(const std::vector<Bytes>& budgets, Bytes memory) {
  const auto distance = [memory](Bytes budget) {
    return std::max(budget - memory, memory - budget);
  };
  const auto closer = [&](Bytes a, Bytes b) { return distance(a) < distance(b); };
  return static_cast<std::size_t>(std::min_element(budgets.begin(), budgets.end(), closer) -
                                  budgets.begin());
}

void show(Progress& progress, std::size_t done, std::size_t of) {
  progress.show({fmt::format("searching: {} of {} budgets done", done, of)});
}

}  // namespace

Sweep sweep(const StepPlanner& planner, std::int64_t count, std::optional<Bytes> memory) {
  Progress progress(Progress::Elsewhere::kNothing);
  progress.show({"searching the smallest budget"});
  const auto least = planner.plan(planner.floor(), nullptr);
  auto budgets =
      evenly_spaced(std::min(least.min_feasible, least.plain_peak), least.plain_peak, count);
  Sweep result;
  if (memory) {
    result.asked = nearest(budgets, *memory);
    budgets[*result.asked] = *memory;
  }
  auto before = least.plan;
  auto smallest = least.min_feasible;
  for (const auto budget : budgets) {
    show(progress, result.steps.size(), budgets.size());
    result.steps.push_back(planner.plan(budget, &before));
    if (result.steps.back().feasible) before = result.steps.back().plan;
    smallest = std::min(smallest, result.steps.back().min_feasible);
  }
  show(progress, budgets.size(), budgets.size());
  for (auto& step : result.steps) step.min_feasible = smallest;
  return result;
}

}  // namespace remat::cli

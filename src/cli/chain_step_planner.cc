#include "cli/chain_step_planner.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include <remat/chain_planner.h>
#include <remat/error.h>
#include <remat/simulator.h>

#include "base/check.h"
#include "base/text.h"
#include "plan/explanation.h"

namespace remat::cli {
namespace {

class ChainStepPlanner : public StepPlanner {
 public:
  explicit ChainStepPlanner(const Chain& chain)
      : chain_(chain), plain_peak_(plan_chain_segments(chain, Placement::none()).predicted_peak) {}

  // As a stage's backward begins, it is saved, and its input, its output's gradient and room for its
  // input's are there.
  Bytes floor() const override {
    Bytes largest;
    auto input = chain_.input;
    auto input_gradient = chain_.input_gradient;
    for (const auto& stage : chain_.stages) {
      const auto taken = [](const StageOption& option) {
        return option.saved + option.backward_workspace;
      };
      const auto less = [&](const auto& a, const auto& b) { return taken(a) < taken(b); };
      const auto least = std::min_element(stage.options.begin(), stage.options.end(), less);
      const auto gradient = stage.output_gradient.value_or(stage.output);
      largest = std::max(largest, input + input_gradient + gradient + taken(*least));
      input = stage.output;
      input_gradient = gradient;
    }
    return chain_.fixed + largest;
  }

 protected:
  // Trusts nothing that `plan` says of itself.
  PlannedStep described(ChainPlan plan, Bytes memory) const {
    const auto simulation = checked(plan);
    plan.budget = memory;
    PlannedStep step;
    step.planner = plan.planner;
    step.feasible = simulation.peak <= memory;
    step.budget = memory;
    step.predicted_peak = simulation.peak;
    step.plain_peak = plain_peak_;
    step.min_feasible = simulation.peak;
    step.plain_time = simulation.plain_time;
    step.predicted_time = simulation.time;
    step.lower_bound_time = chain_lower_bound(chain_, memory);
    step.kept = plan::kept_bytes(chain_, plan);
    step.recomputed = simulation.recomputed;
    step.plan = std::move(plan);
    return step;
  }

  Simulation checked(const ChainPlan& plan) const {
    auto simulation = simulate(chain_, plan);
    REMAT_CHECK(simulation.valid(), InvalidArgument,
                "the plan to start from is not one for chain {}: action {}: {}; start from a plan "
                "that was made for it",
                quote(chain_.name), simulation.fault->action, simulation.fault->what);
    return simulation;
  }

  const Chain& chain_;

 private:
  Bytes plain_peak_;
};

class ChainSearch : public ChainStepPlanner {
 public:
  using ChainStepPlanner::ChainStepPlanner;

  PlannedStep plan(Bytes memory, const AnyPlan* warm_start) const override {
    auto result = plan_chain(chain_, {memory});
    const auto solve_time = result.solve_time;
    const auto smallest = result.min_feasible;
    const bool exact = result.optimal_persistent;
    // Of what does not fit, the plan of least peak is shown.
    if (!result.feasible) result = plan_chain(chain_, {smallest});
    auto step = described(std::move(result.plan), memory);
    step.stopped_by = !step.feasible ? "infeasible" : exact ? "optimal_persistent" : "slots";
    if (warm_start != nullptr) take_if_better(step, std::get<ChainPlan>(*warm_start));
    if (step.feasible && step.predicted_time == step.lower_bound_time) step.stopped_by = "optimal";
    step.planner = "chain";
    step.min_feasible = smallest;
    step.solve_time = solve_time;
    return step;
  }

  bool searches() const override { return true; }

 private:
  // A plan may not be persistent, or sizes were rounded to slots.
  void take_if_better(PlannedStep& step, const ChainPlan& warm_start) const {
    auto other = described(warm_start, step.budget);
    const bool better =
        other.feasible && (!step.feasible || other.predicted_time < step.predicted_time);
    if (!better) return;
    other.stopped_by = step.feasible ? step.stopped_by : "warm_start";
    step = std::move(other);
  }
};

// Whatever the budget.
class ChainRule : public ChainStepPlanner {
 public:
  ChainRule(const Chain& chain, const PlannerChoice& choice)
      : ChainStepPlanner(chain), choice_(choice) {}

  PlannedStep plan(Bytes memory, const AnyPlan* /*warm_start*/) const override {
    const auto start = std::chrono::steady_clock::now();
    auto plan = choice_.kind == PlannerChoice::Kind::kRevolve
                    ? plan_chain_revolve(chain_, choice_.slots)
                    : plan_chain_segments(chain_, choice_.placement);
    const auto solve_time = std::chrono::steady_clock::now() - start;
    auto step = described(std::move(plan), memory);
    step.planner = choice_.to_string();
    step.stopped_by = "rule";
    step.solve_time = solve_time;
    return step;
  }

  bool searches() const override { return false; }

 private:
  PlannerChoice choice_;
};

}  // namespace

std::unique_ptr<StepPlanner> make_chain_step_planner(const Chain& chain,
                                                     const PlannerChoice& choice) {
  if (choice.searches()) return std::make_unique<ChainSearch>(chain);
  return std::make_unique<ChainRule>(chain, choice);
}

}  // namespace remat::cli

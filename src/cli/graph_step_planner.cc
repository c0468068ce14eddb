#include "cli/graph_step_planner.h"

#include <chrono>
#include <utility>

#include <remat/error.h>
#include <remat/planner.h>
#include <remat/simulator.h>

#include "base/check.h"
#include "plan/kept_values.h"
#include "plan/segment_plan.h"

namespace remat::cli {
namespace {

PlannedStep described(const OpGraph& graph, Plan plan) {
  PlannedStep step;
  step.planner = plan.planner;
  step.feasible = plan.predicted_peak <= plan.budget;
  step.budget = plan.budget;
  step.predicted_peak = plan.predicted_peak;
  step.plain_time = plan.plain_time;
  step.predicted_time = plan.predicted_time;
  step.lower_bound_time = plan.lower_bound_time;
  step.stopped_by = plan.stopped_by;
  step.kept = plan::kept_bytes(graph, plan);
  step.recomputed = simulate(graph, plan).recomputed;
  step.plan = std::move(plan);
  return step;
}

class GraphStepPlanner : public StepPlanner {
 public:
  explicit GraphStepPlanner(const OpGraph& graph) : graph_(graph) {}

  Bytes floor() const override { return lower_bound_peak(graph_); }

 protected:
  const OpGraph& graph_;
};

class GraphSearch : public GraphStepPlanner {
 public:
  GraphSearch(const OpGraph& graph, const SearchLimits& limits)
      : GraphStepPlanner(graph), limits_(limits) {}

  PlannedStep plan(Bytes memory, const AnyPlan* warm_start) const override {
    GraphPlanOptions options;
    options.memory = memory;
    options.effort = limits_.effort;
    options.time_limit = limits_.time_limit;
    if (warm_start != nullptr) options.warm_start = &std::get<Plan>(*warm_start);
    auto result = plan_graph(graph_, options);
    auto step = described(graph_, std::move(result.plan));
    step.plain_peak = result.plain_peak;
    step.min_feasible = result.min_feasible;
    step.solve_time = result.solve_time;
    return step;
  }

  bool searches() const override { return true; }

 private:
  SearchLimits limits_;
};

class GraphPlacement : public GraphStepPlanner {
 public:
  GraphPlacement(const OpGraph& graph, const Placement& placement)
      : GraphStepPlanner(graph), placement_(placement) {}

  PlannedStep plan(Bytes memory, const AnyPlan* /*warm_start*/) const override {
    const auto start = std::chrono::steady_clock::now();
    auto plan = plan::plan_segments(graph_, placement_);
    const auto solve_time = std::chrono::steady_clock::now() - start;
    plan.budget = memory;
    plan.lower_bound_time = lower_bound_time(graph_, memory).value_or(plan.plain_time);
    plan.stopped_by = "rule";
    auto step = described(graph_, std::move(plan));
    step.min_feasible = step.predicted_peak;
    step.plain_peak = plan::plan_segments(graph_, Placement::none()).predicted_peak;
    step.solve_time = solve_time;
    return step;
  }

  bool searches() const override { return false; }

 private:
  Placement placement_;
};

}  // namespace

std::unique_ptr<StepPlanner> make_graph_step_planner(const OpGraph& graph,
                                                     const PlannerChoice& choice,
                                                     const SearchLimits& limits) {
  if (choice.kind == PlannerChoice::Kind::kPlacement) {
    return std::make_unique<GraphPlacement>(graph, choice.placement);
  }
  return std::make_unique<GraphSearch>(graph, limits);
}

}  // namespace remat::cli

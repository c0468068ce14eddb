// plan_graph: the search, and what makes its result a plan.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <remat/error.h>
#include <remat/planner.h>
#include <remat/simulator.h>

#include "base/check.h"
#include "base/text.h"
#include "graph/indexed_graph.h"
#include "plan/repeated_search.h"
#include "plan/retention_search.h"
#include "plan/retention_space.h"
#include "plan/run_sequence.h"
#include "plan/time_bound.h"
#include "plan/warm_patterns.h"

namespace remat {
namespace {

using plan::Patterns;
using plan::RetentionSearch;
using Clock = RetentionSearch::Clock;

constexpr std::int64_t kEffort = 45'000'000;
constexpr std::int64_t kEffortPerOp = 5'000;
constexpr std::int64_t kLargestEffort = 70'000'000;  // 20,000 operators in well under 10 s

// How often, and with which share of the effort, a search that found nothing goes on to find out what
// would have been possible.
constexpr int kRoundsForLeastBudget = 3;
constexpr std::int64_t kShareForLeastBudget = 5;

// Of the effort, in percent: what the search over a few of many equal blocks gets.
constexpr std::int64_t kShareOfFew = 60;
// And what may be spent on making fit what these lead to, a little above a tight budget as it may be.
constexpr std::int64_t kShareOfRepair = 10;
constexpr int kRepairs = 3;  // at most: the first plan that fits ends them
// And on what was made fit so.
constexpr std::int64_t kShareOfRefinement = 30;

// To make everything again for each use needs little memory, but work that grows with the square of the graph.
constexpr std::size_t kMostOpsToDropAll = 1000;

// Of the default effort: what brief searches get, beside one that time may cut.
constexpr std::int64_t kShareOfBriefest = 100;
constexpr std::int64_t kShareOfBrief = 10;

// Of the effort, in percent: what goes to the neighbourhood of the choice that the lower bound found.
constexpr std::int64_t kShareAroundBound = 20;
constexpr std::int64_t kShareAroundBoundOfMany = 10;  // where the rest goes by blocks

std::string source_of(const OpGraph& graph) {
  return fmt::format("plan_graph: op graph {}", quote(graph.name));
}

class GraphPlanner {
 public:
  GraphPlanner(const OpGraph& graph, const GraphPlanOptions& options)
      : graph_(graph),
        options_(options),
        start_(Clock::now()),
        effort_(options.effort > 0 ? options.effort : default_effort(graph)),
        index_(graph, source_of(graph)),
        space_(graph, index_),
        bound_(plan::time_bound(graph, options.memory)) {}

  GraphPlanResult run() {
    const auto plain = plan_of(plain_runs());
    result_.plain_peak = plain.predicted_peak;
    consider(plain);
    consider_warm_start();
    if (result_.feasible && result_.plan.predicted_time == result_.plan.plain_time) {
      result_.plan.stopped_by = "optimal";
    } else {
      search();
    }
    return finished();
  }

 private:
  std::vector<std::size_t> plain_runs() const {
    return plan::RetentionState(space_, options_.memory.count()).runs();
  }

  Plan plan_of(const std::vector<std::size_t>& runs) const {
    auto plan = plan::with_drops(graph_, index_, runs);
    const auto simulation = simulate(graph_, plan);
    REMAT_ASSERT(simulation.valid());
    plan.predicted_peak = simulation.peak;
    plan.predicted_time = simulation.time;
    plan.plain_time = simulation.plain_time;
    return plan;
  }

  // Keeps the better plan: one that fits, then less time, then less memory.
  void consider(Plan candidate) {
    const bool fits = candidate.predicted_peak <= options_.memory;
    const auto& best = result_.plan;
    const auto peak = candidate.predicted_peak;
    if (result_.min_feasible == Bytes() || peak < result_.min_feasible) result_.min_feasible = peak;
    const bool better = best.actions.empty() || (fits && !result_.feasible) ||
                        (fits && candidate.predicted_time < best.predicted_time) ||
                        (!fits && !result_.feasible && peak < best.predicted_peak);
    if (!better) return;
    result_.feasible = result_.feasible || fits;
    result_.plan = std::move(candidate);
  }

  void consider_warm_start() {
    if (options_.warm_start == nullptr) return;
    const auto simulation = simulate(graph_, *options_.warm_start);
    REMAT_CHECK(simulation.valid(), InvalidArgument,
                "{}: the plan to start from is not one for this graph: action {}: {}; start from a plan "
                "that was made for it",
                source_of(graph_), simulation.fault->action, simulation.fault->what);
    for (const auto& action : options_.warm_start->actions) {
      if (const auto* run = std::get_if<RunOp>(&action))
        warm_runs_.push_back(*index_.find(run->op));
    }
    consider(plan_of(warm_runs_));
  }

  // Where nothing fits, what comes next is the smallest budget for which there may be a plan.
  Bytes target() const {
    return bound_.time ? options_.memory : std::max(options_.memory, lower_bound_peak(graph_));
  }

  void search() {
    const auto brief = plans_in_case_of_a_cut();
    auto search = new_search();
    spend(search, bound_.time ? effort_ : effort_ / kShareForLeastBudget);
    if (!search.best()) make_fit(search);
    take(search);
    if (search.out_of_time()) {
      for (const auto& plan : brief) consider(plan);
    }
    for (int i = 0; i < kRoundsForLeastBudget && !result_.feasible && !search.out_of_time(); ++i) {
      look_for_least_budget(search.nearest());
    }
    result_.plan.stopped_by = search.out_of_time() ? "time" : optimal() ? "optimal" : "effort";
  }

  RetentionSearch new_search() const {
    RetentionSearch search(space_, target().count());
    search.set_deadline(deadline());
    if (!warm_runs_.empty()) search.offer(plan::patterns_of(space_, warm_runs_));
    return search;
  }

  // A long search is hot for long: where time ends it then, it has nothing good. Brief ones have, the first of
  // which is not cut. A search that its effort ends does without: it is the same with a time limit and without.
  std::vector<Plan> plans_in_case_of_a_cut() const {
    std::vector<Plan> plans;
    if (!options_.time_limit || !bound_.time) return plans;
    for (const auto share : {kShareOfBriefest, kShareOfBrief}) {
      const auto effort = default_effort(graph_) / share;
      if (effort >= effort_) break;
      auto search = new_search();
      if (share == kShareOfBriefest) search.set_deadline(std::nullopt);
      spend(search, effort);
      plans.push_back(found_by(search));
    }
    return plans;
  }

  bool optimal() const {
    return result_.feasible && bound_.time && result_.plan.predicted_time <= *bound_.time;
  }

  void spend(RetentionSearch& search, std::int64_t effort) const {
    if (bound_.time) search.set_goal(bound_.time->count() - space_.plain_time);
    const auto repetition = plan::RepeatedSearch::repetition_of(graph_, index_);
    if (!bound_.replayed.empty()) {
      const auto share = repetition ? kShareAroundBoundOfMany : kShareAroundBound;
      search.offer(replays_of_bound());
      search.refine(effort * share / 100);
      effort -= effort * share / 100;
    }
    if (!repetition) return search.search(effort);
    const plan::RepeatedSearch few(graph_, index_, space_, *repetition);
    few.search(search, effort * kShareOfFew / 100);
    const auto before = search.work();
    for (int i = 0; i < kRepairs; ++i) search.repair(effort * kShareOfRepair / 100);
    search.refine(effort * (100 - kShareOfFew) / 100 - (search.work() - before));
  }

  /// What comes nearest to fitting, at a high price of memory; at last what fits if anything does, though it
  /// takes long.
  void make_fit(RetentionSearch& search) const {
    for (int i = 0; i < kRepairs; ++i) search.repair(effort_ * kShareOfRepair / 100);
    if (!search.best() && graph_.ops.size() <= kMostOpsToDropAll) {
      search.offer(Patterns(space_.gaps.size(), plan::kDropAlways));
      search.descend(effort_ * kShareOfRepair / 100);
    }
    if (search.best()) search.refine(effort_ * kShareOfRefinement / 100);
  }

  Patterns replays_of_bound() const {
    std::vector<plan::OpPlace> ops;
    ops.reserve(bound_.replayed.size());
    for (const auto op : bound_.replayed) ops.emplace_back(*index_.find(op));
    return plan::patterns_replaying(space_, plan::Slot(*index_.find(*bound_.binding_op)), ops);
  }

  std::optional<Clock::time_point> deadline() const {
    if (!options_.time_limit) return std::nullopt;
    return start_ + *options_.time_limit;
  }

  Plan found_by(RetentionSearch& search) const {
    search.load(search.best() ? *search.best() : search.nearest());
    return plan_of(search.state().runs());
  }

  void take(RetentionSearch& search) { consider(found_by(search)); }

  // Half-way between what was asked for and what was found.
  void look_for_least_budget(const Patterns& nearest) {
    const auto middle = target() + (result_.min_feasible - target()) / 2;
    RetentionSearch search(space_, middle.count());
    search.set_deadline(deadline());
    search.offer(nearest);
    search.refine(effort_ / kShareForLeastBudget);
    take(search);
  }

  GraphPlanResult finished() {
    auto& plan = result_.plan;
    plan.budget = options_.memory;
    plan.planner = "graph";
    plan.effort = effort_;
    plan.lower_bound_time = bound_.time.value_or(plan.plain_time);
    result_.solve_time = Clock::now() - start_;
    return std::move(result_);
  }

  const OpGraph& graph_;
  const GraphPlanOptions& options_;
  const Clock::time_point start_;
  const std::int64_t effort_;
  const graph::IndexedGraph index_;
  const plan::RetentionSpace space_;
  const plan::TimeBound bound_;
  std::vector<std::size_t> warm_runs_;
  GraphPlanResult result_;
};

}  // namespace

std::int64_t default_effort(const OpGraph& graph) {
  return std::clamp(kEffortPerOp * static_cast<std::int64_t>(graph.ops.size()), kEffort,
                    kLargestEffort);
}

GraphPlanResult plan_graph(const OpGraph& graph, const GraphPlanOptions& options) {
  return GraphPlanner(graph, options).run();
}

}  // namespace remat

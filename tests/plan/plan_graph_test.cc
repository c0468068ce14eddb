// plan_graph as a whole: its plans are valid, fit, and are near the best.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/planner.h>
#include <remat/simulator.h>

#include "tests/plan/checker_comparison.h"
#include "tests/plan/exact_plan.h"
#include "tests/plan/profiles.h"
#include "tests/plan/random_step.h"
#include "tests/testing/error_text.h"
#include "tests/testing/op_graphs.h"

namespace remat {
namespace {

using testing::RandomChoices;
using namespace std::chrono_literals;

constexpr std::size_t kStates = 100'000;

GraphPlanResult plan_within(const OpGraph& graph, Bytes memory, std::int64_t effort = 20'000,
                            const Plan* warm_start = nullptr) {
  GraphPlanOptions options;
  options.memory = memory;
  options.effort = effort;
  options.warm_start = warm_start;
  return plan_graph(graph, options);
}

// What the plan says of itself is so, and what the result says of the plan.
void expect_sound(const OpGraph& graph, Bytes memory, const GraphPlanResult& result) {
  const auto& plan = result.plan;
  const auto simulation = simulate(graph, plan);
  ASSERT_TRUE(simulation.valid()) << simulation.fault->what << to_json(graph) << to_json(plan);
  EXPECT_EQ(plan.predicted_peak, simulation.peak);
  EXPECT_EQ(plan.predicted_time, simulation.time);
  EXPECT_EQ(plan.plain_time, simulation.plain_time);
  EXPECT_EQ(result.feasible, simulation.peak <= memory);
  EXPECT_EQ(plan.budget, memory);
  EXPECT_EQ(plan.planner, "graph");
  EXPECT_LE(result.min_feasible, simulation.peak);
  EXPECT_GE(result.min_feasible, lower_bound_peak(graph));
  if (result.feasible) {
    EXPECT_GE(plan.predicted_time, plan.lower_bound_time);
  } else {
    EXPECT_GT(result.min_feasible, memory);
  }
}

struct Quality {
  int budgets = 0;     // at which the best plan replays
  int best_found = 0;  // of these
  int missed = 0;      // plans where there is one and none was found
  int least_peaks = 0;
  int least_peaks_found = 0;
  std::int64_t best_extra = 0;
  std::int64_t our_extra = 0;
  testing::CheckerComparison checker;
  std::size_t plans = 0;
};

void compare(const OpGraph& graph, Bytes memory, Quality& quality) {
  const auto result = plan_within(graph, memory);
  expect_sound(graph, memory, result);
  quality.checker.add(graph, result.plan);
  ++quality.plans;
  const auto best = testing::least_time(graph, memory, kStates);
  if (!best.finished) return;
  if (!best.least) {
    EXPECT_FALSE(result.feasible) << memory.count() << to_json(graph);
    return;
  }
  if (!result.feasible) {
    ++quality.missed;
    return;
  }
  EXPECT_LE(result.plan.lower_bound_time.count(), *best.least);
  EXPECT_GE(result.plan.predicted_time.count(), *best.least) << memory.count() << to_json(graph);
  if (*best.least == result.plan.plain_time.count()) return;
  ++quality.budgets;
  quality.best_found += result.plan.predicted_time.count() == *best.least ? 1 : 0;
  quality.best_extra += *best.least - result.plan.plain_time.count();
  quality.our_extra += (result.plan.predicted_time - result.plan.plain_time).count();
}

void compare_at_several_budgets(const OpGraph& graph, Quality& quality) {
  const auto least = testing::least_peak(graph, kStates);
  if (!least.finished || !least.least) return;
  for (std::int64_t step = 0; step < 5; ++step) {
    compare(graph, Bytes(*least.least + step * step), quality);
  }
  // Asked for too little, it names the smallest budget.
  const auto result = plan_within(graph, Bytes(*least.least - 1));
  expect_sound(graph, Bytes(*least.least - 1), result);
  EXPECT_FALSE(result.feasible);
  ++quality.least_peaks;
  quality.least_peaks_found += result.min_feasible.count() == *least.least ? 1 : 0;
}

void expect_near_the_best(const Quality& quality) {
  const auto per_cent = [](auto part, auto whole) { return static_cast<int>(100 * part / whole); };
  const auto found = per_cent(quality.best_found, quality.budgets);
  const auto extra = per_cent(quality.our_extra, quality.best_extra);
  const auto peaks = per_cent(quality.least_peaks_found, quality.least_peaks);
  ::testing::Test::RecordProperty("best_found_percent", found);
  ::testing::Test::RecordProperty("extra_time_percent_of_the_best", extra);
  ::testing::Test::RecordProperty("least_peaks_found_percent", peaks);
  EXPECT_GT(quality.budgets, 200);
  EXPECT_GE(found, 85);
  EXPECT_LE(extra, 108);
  EXPECT_GE(peaks, 90);
  EXPECT_LE(100 * quality.missed, 5 * quality.budgets);
}

TEST(PlanGraph, IsNearTheBestPlanForRandomSteps) {
  Quality quality;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    RandomChoices choices(seed);
    compare_at_several_budgets(testing::random_step(choices, {5, 20, 4}), quality);
  }
  expect_near_the_best(quality);
  if (!testing::CheckerComparison::is_there()) return;
  EXPECT_EQ(quality.checker.expect_agreement(), quality.plans);
}

TEST(PlanGraph, IsNearTheBestPlanForStepsWithoutOddities) {
  Quality quality;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    RandomChoices choices(seed);
    compare_at_several_budgets(testing::random_step(choices, {6, 20, 0}), quality);
  }
  expect_near_the_best(quality);
}

// Twelve layers whose activations take 100 bytes each: plain, the step takes 1300 bytes and more.
OpGraph twelve_layers() { return testing::layers_graph(12, 100); }

Bytes plain_peak_of(const OpGraph& graph) {
  return plan_within(graph, Bytes(std::int64_t{1} << 40)).plain_peak;
}

TEST(PlanGraph, IsThePlainStepWhereThatFits) {
  const auto graph = twelve_layers();
  const auto plain = plain_peak_of(graph);
  const auto result = plan_within(graph, plain);
  expect_sound(graph, plain, result);
  EXPECT_TRUE(result.feasible);
  EXPECT_EQ(simulate(graph, result.plan).recomputed, 0);
  EXPECT_EQ(result.plan.lower_bound_time, result.plan.plain_time);
  EXPECT_EQ(result.plan.stopped_by, "optimal");
  EXPECT_GT(simulate(graph, plan_within(graph, plain - Bytes(1)).plan).recomputed, 0);
}

TEST(PlanGraph, TakesNoLongerWithMoreMemoryWhereItStartsFromThePlanForLess) {
  const auto graph = twelve_layers();
  const auto plain = plain_peak_of(graph);
  auto last = plan_within(graph, plan_within(graph, Bytes(1)).min_feasible);
  ASSERT_TRUE(last.feasible);
  for (auto memory = last.plan.budget; memory < plain + Bytes(100); memory += Bytes(50)) {
    // So little effort that without the start it would find next to nothing.
    auto result = plan_within(graph, memory, 100, &last.plan);
    expect_sound(graph, memory, result);
    ASSERT_TRUE(result.feasible) << memory.count();
    EXPECT_LE(result.plan.predicted_time, last.plan.predicted_time) << memory.count();
    last = std::move(result);
  }
  EXPECT_EQ(last.plan.predicted_time, last.plan.plain_time);
}

TEST(PlanGraph, StartsFromAPlanForMoreMemoryToo) {
  const auto graph = twelve_layers();
  const auto plain = plain_peak_of(graph);
  const auto more = plan_within(graph, plain - Bytes(100));
  const auto less = plan_within(graph, plain - Bytes(300), 20'000, &more.plan);
  expect_sound(graph, plain - Bytes(300), less);
  EXPECT_TRUE(less.feasible);
}

TEST(PlanGraph, MakesTheSamePlanTwice) {
  int graphs = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    RandomChoices choices(seed);
    const auto graph = testing::random_step(choices, {12, 100, 4});
    if (!lower_bound_time(graph, Bytes(1'000'000))) continue;  // overwrites what it needs
    ++graphs;
    const auto memory = Bytes(plain_peak_of(graph).count() * 7 / 10);
    const auto first = plan_within(graph, memory);
    const auto second = plan_within(graph, memory);
    EXPECT_EQ(to_json(first.plan), to_json(second.plan)) << seed;
    EXPECT_EQ(first.min_feasible, second.min_feasible) << seed;
  }
  EXPECT_GT(graphs, 10);
}

TEST(PlanGraph, StopsWhenTimeIsOver) {
  const auto graph = testing::layers_graph(100, 100);
  GraphPlanOptions options;
  options.memory = Bytes(plain_peak_of(graph).count() / 2);
  options.effort = std::int64_t{1} << 50;  // months
  options.time_limit = 50ms;
  const auto result = plan_graph(graph, options);
  expect_sound(graph, options.memory, result);
  EXPECT_TRUE(result.feasible);
  EXPECT_EQ(result.plan.stopped_by, "time");
  EXPECT_GE(result.solve_time, 50ms);
  EXPECT_EQ(plan_within(graph, options.memory).plan.stopped_by, "effort");
}

// The default effort takes seconds.
TEST(PlanGraph, StopsWhenTimeIsOverAtTheDefaultEffort) {
  const auto graph = testing::layers_graph(100, 100);
  GraphPlanOptions options;
  options.memory = Bytes(plain_peak_of(graph).count() / 2);
  options.time_limit = 1ms;
  EXPECT_EQ(plan_graph(graph, options).plan.stopped_by, "time");
}

// While a search that would take months is hot, it finds nothing that brief ones do not.
TEST(PlanGraph, GivesWhatABriefSearchFindsWhereTimeCutsALongOne) {
  const auto graph = testing::layers_graph(100, 100);
  GraphPlanOptions options;
  options.memory = Bytes(plain_peak_of(graph).count() / 4);
  const auto brief = plan_within(graph, options.memory, default_effort(graph) / 100);
  ASSERT_TRUE(brief.feasible);
  options.effort = std::int64_t{1} << 50;
  options.time_limit = 1ms;
  const auto result = plan_graph(graph, options);
  expect_sound(graph, options.memory, result);
  ASSERT_TRUE(result.feasible);
  EXPECT_EQ(result.plan.stopped_by, "time");
  EXPECT_LE(result.plan.predicted_time, brief.plan.predicted_time);
}

// Each activation made again from the first one: two of them, two gradients.
TEST(PlanGraph, FindsTheLeastBudgetOfADeepChain) {
  const auto result = plan_within(testing::layers_graph(12, 100), Bytes(1), 200'000);
  EXPECT_FALSE(result.feasible);
  EXPECT_EQ(result.min_feasible, lower_bound_peak(testing::layers_graph(12, 100)));
}

TEST(PlanGraph, NamesTheSmallestBudgetForWhichItFindsAPlan) {
  const auto few = testing::layers_graph(4, 100);
  EXPECT_EQ(plan_within(few, Bytes(1), 200'000).min_feasible.count(),
            *testing::least_peak(few, 1'000'000).least);
  const auto graph = twelve_layers();
  const auto failed = plan_within(graph, Bytes(1));
  expect_sound(graph, Bytes(1), failed);
  EXPECT_EQ(failed.plan.predicted_peak, failed.min_feasible);
  EXPECT_LT(failed.min_feasible, Bytes(plain_peak_of(graph).count() / 2));
  EXPECT_TRUE(plan_within(graph, failed.min_feasible, 100, &failed.plan).feasible);
}

TEST(PlanGraph, RefusesToStartFromAPlanForAnotherGraph) {
  const auto graph = twelve_layers();
  const auto plan = plan_within(testing::layers_graph(13, 100), Bytes(5000)).plan;
  EXPECT_EQ(
      testing::complaint_of([&] { plan_within(graph, Bytes(1000), 1000, &plan); }),
      "plan_graph: op graph \"built\": the plan to start from is not one for this graph: action 47: "
      "there is no op 25; start from a plan that was made for it");
}

TEST(PlanGraph, RefusesAGraphThatCannotBe) {
  auto graph = twelve_layers();
  graph.values[3].bytes = Bytes(-7);
  EXPECT_THAT(testing::complaint_of([&] { plan_within(graph, Bytes(1000)); }),
              ::testing::StartsWith("plan_graph: op graph \"built\": values[3].bytes"));
}

TEST(PlanGraph, RefusesAGraphThatReadsWhatIsOverwrittenForGood) {
  testing::OpGraphBuilder build;
  const auto a = build.value(10), b = build.value(10);
  build.op(Phase::kForward, 7, {a}, {b}).reuses = {{a, b}};
  build.op(Phase::kBackward, 1, {a, b}, {});
  EXPECT_EQ(
      testing::complaint_of([&] { plan_within(build.graph(), Bytes(1000)); }),
      "plan: op graph \"built\": op 1 (op1) reads value 0, whose storage op 0 has taken over and which "
      "cannot be made again; list a copy, or allow what makes it to run again");
}

TEST(PlanGraph, MakesPlansForMeasuredStepsThatTheCheckerAccepts) {
  testing::CheckerComparison checker;
  std::size_t plans = 0;
  for (const auto* name : {"resnet50_184", "unet_11", "vgg16_176"}) {
    const auto graph = testing::measured_step(name);
    if (!graph || !testing::CheckerComparison::is_there()) GTEST_SKIP() << "there is no ../shared";
    for (const std::int64_t gib : {3, 8, 10}) {
      const auto result = plan_within(*graph, Bytes(gib << 30), 300'000);
      expect_sound(*graph, Bytes(gib << 30), result);
      EXPECT_EQ(result.feasible, gib != 3) << name << gib;
      checker.add(*graph, result.plan);
      ++plans;
    }
  }
  EXPECT_EQ(checker.expect_agreement(), plans);
}

/// A U-Net's step: on the way down each level has half the bytes and the time of the one above, on the way up it
/// reads what its level had on the way down. Backward reads what the forward did.
OpGraph hourglass(int levels) {
  testing::OpGraphBuilder build;
  const auto size = [levels](int level) { return std::int64_t{1024} << (levels - level); };
  struct Run {
    std::vector<ValueId> reads;
    ValueId made;
    int level;
  };
  std::vector<Run> runs;
  const auto run = [&](std::vector<ValueId> reads, int level) {
    const ValueId made = build.value(size(level));
    build.op(Phase::kForward, size(level), reads, {made});
    runs.push_back({std::move(reads), made, level});
    return made;
  };
  ValueId x = build.value(size(0));
  std::vector<ValueId> skips;
  for (int level = 0; level < levels; ++level) {
    for (int i = 0; i < 3; ++i) x = run({x}, level);
    skips.push_back(x);
  }
  for (int level = levels; level-- > 0;) {
    x = run({x, skips[static_cast<std::size_t>(level)]}, level);
    for (int i = 0; i < 2; ++i) x = run({x}, level);
  }
  ValueId gradient = build.value(size(0));
  build.op(Phase::kBackward, 1, {x}, {gradient});
  for (auto last = runs.rbegin(); last != runs.rend(); ++last) {
    std::vector<ValueId> reads = last->reads;
    reads.push_back(last->made);
    reads.push_back(gradient);
    gradient = build.value(size(last->level));
    build.op(Phase::kBackward, 2 * size(last->level), reads, {gradient});
  }
  return build.graph();
}

// Breaks if: where only "make everything again" fits at first, the plan stays near that: it took 5 times the step.
TEST(PlanGraph, AtTheLeastBudgetIsNotFarFromItsBound) {
  const OpGraph graph = hourglass(4);
  const Bytes least = plan_within(graph, Bytes(1), 2'000'000).min_feasible;
  for (const std::int64_t per_mille : {5, 20, 40}) {
    const Bytes memory = least + Bytes(least.count() * per_mille / 1000);
    const auto found = plan_within(graph, memory, 20'000'000);
    expect_sound(graph, memory, found);
    EXPECT_TRUE(found.feasible) << per_mille;
    EXPECT_LT(found.plan.predicted_time, 2 * found.plan.plain_time) << per_mille;
  }
}

}  // namespace
}  // namespace remat

// No plan beats lower_bound_time and lower_bound_peak: against exact answers for small graphs.
#include "plan/time_bound.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/error.h>
#include <remat/planner.h>
#include <remat/simulator.h>

#include "tests/plan/exact_plan.h"
#include "tests/plan/profiles.h"
#include "tests/plan/random_step.h"
#include "tests/testing/error_text.h"
#include "tests/testing/op_graphs.h"
#include "tests/testing/random_op_graph.h"

namespace remat {
namespace {

using testing::RandomChoices;
using namespace std::chrono_literals;

constexpr std::size_t kStates = 100'000;

struct Tally {
  int bounds = 0;  // budgets at which there is a plan that replays
  int exact = 0;   // of these, the bound is the least time
  int impossible = 0;
  int proven = 0;  // of these, the bound says so
  double extra = 0;
  double bound_extra = 0;
};

void compare(const OpGraph& graph, Bytes budget, Tally& tally) {
  const auto best = testing::least_time(graph, budget, kStates);
  if (!best.finished) return;
  const auto bound = lower_bound_time(graph, budget);
  if (!best.least) {
    ++tally.impossible;
    tally.proven += bound ? 0 : 1;
    return;
  }
  ASSERT_TRUE(bound.has_value()) << "a plan fits in " << budget.count() << to_json(graph);
  ASSERT_LE(bound->count(), *best.least) << budget.count() << to_json(graph);
  std::int64_t plain = 0;
  for (const auto& op : graph.ops) plain += op.time.count();
  EXPECT_GE(bound->count(), plain);
  if (*best.least == plain) return;
  ++tally.bounds;
  tally.exact += bound->count() == *best.least ? 1 : 0;
  tally.extra += static_cast<double>(*best.least - plain);
  tally.bound_extra += static_cast<double>(bound->count() - plain);
}

// Budgets between the least peak and a little more than the plain one.
void compare_at_several_budgets(const OpGraph& graph, Tally& tally) {
  const auto least = testing::least_peak(graph, kStates);
  if (!least.finished) return;
  const auto bound = lower_bound_peak(graph);
  if (!least.least) return;
  ASSERT_LE(bound.count(), *least.least) << to_json(graph);
  for (std::int64_t step = -1; step < 6; ++step) {
    compare(graph, Bytes(*least.least + step * step * (step < 0 ? -1 : 1)), tally);
  }
}

void expect_tight(const Tally& tally) {
  EXPECT_GT(tally.bounds, 500);
  EXPECT_GT(tally.exact, 0.55 * tally.bounds);
  EXPECT_GT(tally.bound_extra, 0.7 * tally.extra);
  EXPECT_GT(tally.impossible, 200);
  EXPECT_GT(tally.proven, 0.8 * tally.impossible);
  ::testing::Test::RecordProperty("exact_percent", 100 * tally.exact / tally.bounds);
}

TEST(LowerBound, IsNeverAboveTheBestPlanForARandomStep) {
  Tally tally;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    RandomChoices choices(seed);
    compare_at_several_budgets(testing::random_step(choices, {5, 20, 4}), tally);
  }
  expect_tight(tally);
}

TEST(LowerBound, IsNeverAboveTheBestPlanForAStepWithoutOddities) {
  Tally tally;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    RandomChoices choices(seed);
    compare_at_several_budgets(testing::random_step(choices, {6, 20, 0}), tally);
  }
  expect_tight(tally);
}

TEST(LowerBound, IsNeverAboveTheBestPlanForAnythingThatTheFormatAllows) {
  Tally tally;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    RandomChoices choices(seed);
    compare_at_several_budgets(testing::random_op_graph(choices, {10, 20}), tally);
  }
  expect_tight(tally);
}

// Forward makes a, b, c and the loss, 10 bytes each; backward reads c, b, a.
struct ThreeLayers {
  testing::OpGraphBuilder build;
  ValueId a = build.value(10), b = build.value(10), c = build.value(10);
  ValueId loss = build.value(10), g1 = build.value(0), g2 = build.value(0), g3 = build.value(0);

  ThreeLayers() {
    build.op(Phase::kForward, 7, {}, {a});
    build.op(Phase::kForward, 5, {a}, {b});
    build.op(Phase::kForward, 3, {b}, {c});
    build.op(Phase::kForward, 1, {c}, {loss});
    build.op(Phase::kBackward, 1, {loss, c}, {g1});
    build.op(Phase::kBackward, 1, {g1, b}, {g2});
    build.op(Phase::kBackward, 1, {g2, a}, {g3});
  }
};

TEST(LowerBound, IsThePlainTimeWhereThePlainStepFits) {
  const auto bound = plan::time_bound(ThreeLayers().build.graph(), Bytes(40));
  EXPECT_EQ(bound.time, 19ns);
  EXPECT_EQ(bound.binding_op, std::nullopt);
}

TEST(LowerBound, ChargesTheCheapestReplayAndNamesTheMoment) {
  const auto bound = plan::time_bound(ThreeLayers().build.graph(), Bytes(30));
  EXPECT_EQ(bound.time, 24ns);  // b is dropped
  ASSERT_TRUE(bound.binding_op.has_value());
  EXPECT_THAT(*bound.binding_op, ::testing::AnyOf(OpId{3}, OpId{4}));
  EXPECT_EQ(bound.in_use, Bytes(20));
  EXPECT_EQ(bound.plain, Bytes(40));
}

TEST(LowerBound, ChargesTheOpsBehindWhatIsReplayed) {
  auto graph = ThreeLayers().build.graph();
  graph.ops[6].reads.pop_back();  // only replays of b need a
  EXPECT_EQ(lower_bound_time(graph, Bytes(30)), 19ns);
  EXPECT_EQ(lower_bound_time(graph, Bytes(29)), 19ns + 5ns + 7ns);
}

TEST(LowerBound, ChargesAnOpOfTwoOutputsOnce) {
  testing::OpGraphBuilder build;
  const auto a = build.value(10), b = build.value(10), big = build.value(20), end = build.value(0);
  build.op(Phase::kForward, 7, {}, {a, b});
  build.op(Phase::kForward, 100, {}, {big});
  build.op(Phase::kBackward, 1, {big}, {});
  build.op(Phase::kBackward, 1, {a, b}, {end});
  EXPECT_EQ(lower_bound_time(build.graph(), Bytes(20)), 109ns + 7ns);
}

TEST(LowerBound, UsesTheTimeOfReplays) {
  auto graph = ThreeLayers().build.graph();
  graph.ops[1].recompute_time = 2ns;
  EXPECT_EQ(lower_bound_time(graph, Bytes(30)), 19ns + 2ns);
}

TEST(LowerBound, KeepsWhatMayNotRunAgain) {
  auto graph = ThreeLayers().build.graph();
  graph.ops[1].recompute = Recompute::kNever;
  EXPECT_EQ(lower_bound_time(graph, Bytes(30)), 19ns + 7ns);
  graph.ops[0].recompute = Recompute::kNever;
  EXPECT_EQ(lower_bound_time(graph, Bytes(30)), std::nullopt);
  EXPECT_EQ(lower_bound_peak(graph), Bytes(40));
}

TEST(LowerBound, KeepsWhatIsHeld) {
  auto graph = ThreeLayers().build.graph();
  graph.values[1].held_until = graph.ops[4].id;
  EXPECT_EQ(lower_bound_time(graph, Bytes(30)), 19ns + 7ns);
  graph.values[0].held_until = graph.ops[4].id;
  const auto bound = plan::peak_bound(graph);
  EXPECT_EQ(bound.peak, Bytes(40));
  EXPECT_THAT(bound.binding_op, ::testing::AnyOf(OpId{3}, OpId{4}));
}

TEST(LowerBound, ChargesWhatInPlaceOpsOverwrote) {
  testing::OpGraphBuilder build;
  const auto a = build.value(10), b = build.value(10), end = build.value(0);
  build.op(Phase::kForward, 7, {}, {a});
  build.op(Phase::kForward, 3, {a}, {b}).reuses = {{a, b}};
  build.op(Phase::kBackward, 1, {a, b}, {end});
  EXPECT_EQ(lower_bound_time(build.graph(), Bytes(1000)), 11ns + 7ns);
  auto graph = build.graph();
  graph.ops[0].recompute = Recompute::kNever;
  EXPECT_EQ(lower_bound_time(graph, Bytes(1000)), std::nullopt);
}

TEST(LowerBound, ReplaysWhatAnInPlaceOpJustOverwrote) {
  testing::OpGraphBuilder build;
  const auto a = build.value(5), c = build.value(20), b = build.value(5), end = build.value(0);
  build.op(Phase::kForward, 7, {}, {a});
  build.op(Phase::kForward, 5, {a}, {c});
  auto& in_place = build.op(Phase::kForward, 3, {a}, {b});
  in_place.reuses = {{a, b}};
  in_place.workspace = Bytes(20);
  build.op(Phase::kBackward, 1, {b, c}, {end});
  // As it runs there is room for a, but not for c; and a is being overwritten.
  EXPECT_EQ(lower_bound_time(build.graph(), Bytes(30)), 16ns + 5ns + 7ns);
}

TEST(LowerBound, KeepsTheSmallestOfWhatReplaysNeed) {
  testing::OpGraphBuilder build;
  const auto input = build.value(10), a = build.value(15), end = build.value(0);
  build.op(Phase::kForward, 7, {input}, {a});
  build.op(Phase::kForward, 7, {}, {}).workspace = Bytes(100);
  build.op(Phase::kBackward, 1, {a}, {end});
  EXPECT_EQ(lower_bound_peak(build.graph()), Bytes(110));
}

TEST(LowerBound, CountsInputsBeforeAnythingRuns) {
  testing::OpGraphBuilder build(100);
  const auto a = build.value(10), b = build.value(20), end = build.value(1);
  build.op(Phase::kForward, 7, {a}, {end});
  build.op(Phase::kForward, 7, {}, {b});
  auto graph = build.graph();
  graph.ops[1].writes.clear();
  const auto bound = plan::peak_bound(graph);
  EXPECT_EQ(bound.peak, Bytes(130));
  EXPECT_EQ(bound.binding_op, std::nullopt);
  EXPECT_EQ(lower_bound_time(graph, Bytes(129)), std::nullopt);
}

TEST(LowerBound, CountsWorkspaceAndFixedBytes) {
  auto graph = ThreeLayers().build.graph();
  graph.fixed = Bytes(100);
  graph.ops[3].workspace = Bytes(5);
  EXPECT_EQ(lower_bound_time(graph, Bytes(144)), 24ns);
  EXPECT_EQ(lower_bound_time(graph, Bytes(145)), 19ns);
  EXPECT_EQ(lower_bound_peak(graph), Bytes(125));
}

TEST(LowerBound, TakesTheLargestTimesAndSizes) {
  constexpr auto kLarge = std::int64_t{1} << 60;
  testing::OpGraphBuilder build;
  const auto a = build.value(kLarge), b = build.value(kLarge), end = build.value(1);
  build.op(Phase::kForward, kLarge, {}, {a}).recompute_time = 3 * std::chrono::nanoseconds(kLarge);
  build.op(Phase::kForward, kLarge, {}, {b}).recompute_time = 2 * std::chrono::nanoseconds(kLarge);
  build.op(Phase::kBackward, 1, {b}, {end});
  build.op(Phase::kBackward, 1, {a}, {});
  const auto bound = lower_bound_time(build.graph(), Bytes(2 * kLarge));
  ASSERT_TRUE(bound.has_value());
  EXPECT_LE(bound->count(), 5 * kLarge + 2);
  EXPECT_GT(bound->count(), 5 * kLarge - kLarge / 1000);
  EXPECT_EQ(lower_bound_peak(build.graph()), Bytes(kLarge + 1));
}

TEST(LowerBound, RefusesAGraphThatCannotBe) {
  auto graph = ThreeLayers().build.graph();
  graph.values[0].bytes = Bytes(-1);
  EXPECT_THAT(testing::complaint_of([&] { lower_bound_peak(graph); }),
              ::testing::StartsWith("lower bound: op graph \"built\": values[0].bytes"));
}

TEST(LowerBound, IsThatOfThePlan) {
  const auto graph = ThreeLayers().build.graph();
  GraphPlanOptions options;
  options.memory = Bytes(30);
  options.effort = 10'000;
  const auto result = plan_graph(graph, options);
  EXPECT_EQ(result.plan.lower_bound_time, 24ns);
  EXPECT_EQ(result.plan.predicted_time, 24ns);
}

// The published results: ../shared/design.md, section 7.
struct Published {
  std::string graph;
  std::int64_t gib = 0;
  double least_percent = 0;  ///< of a former run of this bound
  double plan_percent = 0;   ///< the best plan known
};

TEST(LowerBound, IsNearTheBestPlansKnownForMeasuredSteps) {
  const std::vector<Published> rows = {
      {"resnet50_184", 6, 10.8, 11.27}, {"resnet50_184", 8, 8.1, 8.25},
      {"resnet50_184", 10, 6.02, 6.04}, {"unet_11", 6, 5.5, 6.04},
      {"unet_11", 8, 3.48, 3.49},       {"unet_11", 10, 2.41, 2.413},
      {"vgg16_176", 8, 4.13, 4.17},     {"vgg16_176", 10, 2.02, 2.03},
  };
  for (const auto& row : rows) {
    const auto graph = testing::measured_step(row.graph);
    if (!graph) GTEST_SKIP() << "there is no ../shared/profiles";
    const auto bound = lower_bound_time(*graph, Bytes(row.gib << 30));
    ASSERT_TRUE(bound.has_value()) << row.graph << row.gib;
    double plain = 0;
    for (const auto& op : graph->ops) plain += static_cast<double>(op.time.count());
    const auto percent = 100 * (static_cast<double>(bound->count()) / plain - 1);
    EXPECT_GE(percent, row.least_percent) << row.graph << row.gib;
    EXPECT_LE(percent, row.plan_percent) << row.graph << row.gib;
  }
}

}  // namespace
}  // namespace remat

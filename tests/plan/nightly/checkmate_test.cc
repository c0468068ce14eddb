// lower_bound_time and plan_graph against Checkmate's integer program, solved by CBC.
#include <chrono>
#include <cstdint>

#include <gtest/gtest.h>

#include <remat/planner.h>

#include "tests/plan/exact_plan.h"
#include "tests/plan/nightly/checkmate_milp.h"
#include "tests/plan/random_step.h"
#include "tests/testing/choices.h"

namespace remat {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kStates = 200'000;

struct Tally {
  int solved = 0;
  int impossible = 0;
  int replaying = 0;
  int bound_exact = 0;
  int plan_as_good = 0;
};

void compare(const OpGraph& graph, Bytes budget, Tally& tally) {
  const auto best = testing::least_time_by_milp(graph, budget, 60s);
  if (!best.finished) return;
  ++tally.solved;
  const auto exact = testing::least_time(graph, budget, kStates);
  if (!best.least) {
    ++tally.impossible;
    return;
  }
  if (exact.finished) {
    ASSERT_TRUE(exact.least.has_value());
    ASSERT_LE(*exact.least, *best.least);
  }
  const auto bound = lower_bound_time(graph, budget);
  ASSERT_TRUE(bound.has_value());
  ASSERT_LE(bound->count(), *best.least) << budget.count() << to_json(graph);
  GraphPlanOptions options;
  options.memory = budget;
  options.effort = 1'000'000;
  const auto result = plan_graph(graph, options);
  if (*best.least == result.plan.plain_time.count()) return;
  ++tally.replaying;
  tally.bound_exact += bound->count() == *best.least ? 1 : 0;
  const bool as_good = result.feasible && result.plan.predicted_time.count() <= *best.least;
  tally.plan_as_good += as_good ? 1 : 0;
}

Tally compare_random_steps(testing::StepLimits limits, std::uint64_t seeds) {
  Tally tally;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    testing::RandomChoices choices(seed);
    const auto graph = testing::random_step(choices, limits);
    GraphPlanOptions options;
    options.memory = Bytes(1'000'000);
    const auto plain = plan_graph(graph, options).plain_peak;
    for (const std::int64_t percent : {65, 80, 92}) {
      compare(graph, Bytes(plain.count() * percent / 100), tally);
    }
  }
  return tally;
}

class Checkmate : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_cbc()) GTEST_SKIP() << "there is no program cbc: install coinor-cbc";
  }
};

// The program itself: where no op needs to run twice in a stage, it finds what the exact planner finds.
TEST_F(Checkmate, FindsWhatTheExactPlannerFindsForSmallSteps) {
  int equal = 0;
  int compared = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    testing::RandomChoices choices(seed);
    const auto graph = testing::random_step(choices, {4, 20, 0});
    const auto least = testing::least_peak(graph, kStates);
    ASSERT_TRUE(least.least.has_value());
    const Bytes budget(*least.least + 3);
    const auto exact = testing::least_time(graph, budget, kStates);
    const auto milp = testing::least_time_by_milp(graph, budget, 60s);
    ASSERT_TRUE(exact.finished && milp.finished) << seed;
    ASSERT_LE(*exact.least, milp.least.value_or(*exact.least)) << seed;
    equal += milp.least == exact.least ? 1 : 0;
    ++compared;
  }
  EXPECT_GE(equal, compared * 9 / 10) << equal << " of " << compared;
}

TEST_F(Checkmate, IsNeverBelowTheBoundAndSeldomBelowThePlan) {
  const auto tally = compare_random_steps({10, 20, 0}, 20);
  RecordProperty("solved", tally.solved);
  RecordProperty("bound_exact", tally.bound_exact);
  RecordProperty("plan_as_good", tally.plan_as_good);
  EXPECT_GT(tally.replaying, 20);
  EXPECT_GE(tally.bound_exact, tally.replaying / 2);
  EXPECT_GE(tally.plan_as_good, tally.replaying * 9 / 10);
}

}  // namespace
}  // namespace remat

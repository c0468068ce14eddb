#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <remat/chain_planner.h>
#include <remat/simulator.h>

#include "tests/testing/error_text.h"
#include "tests/testing/fastest_chain_time.h"
#include "tests/testing/persistent_plans.h"
#include "tests/testing/random_chain.h"

namespace remat {
namespace {

using std::chrono::nanoseconds;
using testing::complaint_of;
using testing::RandomChoices;

ChainPlanResult plan_within(const Chain& chain, Bytes memory) {
  ChainPlanOptions options;
  options.memory = memory;
  return plan_chain(chain, options);
}

ChainPlanResult persistent_within(const Chain& chain, Bytes memory) {
  ChainPlanOptions options;
  options.memory = memory;
  options.persistent = true;
  return plan_chain(chain, options);
}

// Peak and time of each persistent plan.
std::vector<Simulation> all_persistent(const Chain& chain) {
  std::vector<Simulation> outcomes;
  ChainPlan plan;
  for (auto& actions : testing::persistent_plans(chain)) {
    plan.actions = std::move(actions);
    outcomes.push_back(simulate(chain, plan));
    EXPECT_TRUE(outcomes.back().valid()) << outcomes.back().fault->what;
  }
  std::sort(outcomes.begin(), outcomes.end(),
            [](const auto& a, const auto& b) { return a.peak < b.peak; });
  return outcomes;
}

void expect_as_predicted(const Chain& chain, const ChainPlanResult& result) {
  const auto simulation = simulate(chain, result.plan);
  ASSERT_TRUE(simulation.valid()) << simulation.fault->what;
  EXPECT_EQ(simulation.peak, result.plan.predicted_peak);
  EXPECT_EQ(simulation.time, result.plan.predicted_time);
  EXPECT_EQ(simulation.plain_time, result.plain_time);
  EXPECT_LE(simulation.peak, result.plan.budget);
  EXPECT_LE(result.lower_bound_time, simulation.time);
  EXPECT_LE(result.plain_time, result.lower_bound_time);
}

// The numbers of stages and options whose plans are few enough to try all.
class AgainstAllPersistentPlans : public ::testing::TestWithParam<testing::ChainLimits> {};

TEST_P(AgainstAllPersistentPlans, IsTheFastestWithinEveryBudget) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    RandomChoices choices(seed);
    const auto chain = testing::random_chain(choices, GetParam());
    const auto outcomes = all_persistent(chain);
    EXPECT_FALSE(plan_within(chain, outcomes.front().peak - Bytes(1)).feasible);
    auto best = outcomes.front().time;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      best = std::min(best, outcomes[i].time);
      if (i + 1 < outcomes.size() && outcomes[i + 1].peak == outcomes[i].peak) continue;
      if (i % (outcomes.size() / 8 + 1) != 0) continue;
      const auto result = persistent_within(chain, outcomes[i].peak);
      SCOPED_TRACE(fmt::format("seed {} budget {}", seed, outcomes[i].peak.count()));
      ASSERT_TRUE(result.feasible);
      EXPECT_TRUE(result.optimal_persistent);
      EXPECT_EQ(result.min_feasible, outcomes.front().peak);
      EXPECT_EQ(result.plan.predicted_time, best);
      expect_as_predicted(chain, result);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Small, AgainstAllPersistentPlans,
                         ::testing::Values(testing::ChainLimits{4, 100, 3},
                                           testing::ChainLimits{6, 100, 2},
                                           testing::ChainLimits{8, 100, 1},
                                           testing::ChainLimits{8, 3, 1}));

// planners.md calls them UF, UB, A, AB, OF and OB. Last comes a loss that needs nothing.
struct Rotor {
  std::vector<int> forward, backward, activations, saved, forward_workspace, backward_workspace;

  Chain chain() const {
    Chain chain;
    chain.input = chain.input_gradient = Bytes(activations[0]);
    for (std::size_t i = 0; i < forward.size(); ++i) {
      Stage stage;
      stage.output = Bytes(activations[i + 1]);
      stage.forward_time = nanoseconds(forward[i]);
      stage.forward_workspace = Bytes(forward_workspace[i]);
      stage.options = {{"all", Bytes(saved[i]), stage.forward_time, stage.forward_workspace,
                        nanoseconds(backward[i]), Bytes(backward_workspace[i])}};
      chain.stages.push_back(stage);
    }
    Stage loss;
    loss.options.emplace_back();
    chain.stages.push_back(loss);
    return chain;
  }
};

// Actions; Rotor counts the loss as one.
std::size_t operations(const Rotor& rotor, int memory) {
  const auto result = persistent_within(rotor.chain(), Bytes(memory));
  return result.feasible ? result.plan.actions.size() - 1 : 0;
}

Rotor equal_stages() {
  Rotor rotor;
  rotor.forward.assign(10, 1);
  rotor.backward.assign(10, 2);
  rotor.activations.assign(11, 1);
  rotor.saved.assign(10, 3);
  rotor.forward_workspace.assign(10, 0);
  rotor.backward_workspace.assign(10, 0);
  return rotor;
}

TEST(ChainPlanner, NeedsAsManyOperationsAsRotorOnEqualStages) {
  const auto rotor = equal_stages();
  EXPECT_EQ(operations(rotor, 6), 0U);
  EXPECT_EQ(operations(rotor, 7), 66U);
  EXPECT_EQ(operations(rotor, 8), 41U);
  EXPECT_EQ(operations(rotor, 9), 36U);
  EXPECT_EQ(operations(rotor, 15), 28U);
}

TEST(ChainPlanner, NeedsAsManyOperationsAsRotorWithAnEmptyActivation) {
  auto rotor = equal_stages();
  rotor.activations[5] = rotor.saved[4] = 0;
  EXPECT_EQ(operations(rotor, 6), 0U);
  EXPECT_EQ(operations(rotor, 7), 42U);
}

TEST(ChainPlanner, NeedsAsManyOperationsAsRotorOnUnequalStages) {
  const Rotor rotor = {{1, 5, 3, 9, 2, 10, 8, 6, 4, 7},   {2, 2, 2, 2, 2, 2, 2, 2, 2, 2},
                       {1, 2, 1, 1, 2, 3, 2, 3, 2, 1, 1}, {5, 3, 1, 2, 4, 5, 6, 3, 2, 1},
                       {1, 2, 3, 4, 5, 4, 3, 2, 1, 0},    {5, 4, 3, 2, 1, 2, 1, 3, 5, 4}};
  EXPECT_EQ(operations(rotor, 15), 0U);
  EXPECT_EQ(operations(rotor, 16), 43U);
  EXPECT_EQ(operations(rotor, 26), 25U);

  const auto chain = rotor.chain();
  const auto beyond = plan_within(chain, Bytes(16));
  EXPECT_LT(beyond.plan.predicted_time, persistent_within(chain, Bytes(16)).plan.predicted_time);
  expect_as_predicted(chain, beyond);
}

// Small stages of which running takes more memory than saving: where leaving persistence matters most.
Chain chain_with_large_workspaces(testing::Choices& choices) {
  Chain chain;
  chain.input = chain.input_gradient = Bytes(choices.between(1, 8));
  const auto stages = choices.between(3, 5);
  for (std::int64_t i = 0; i < stages; ++i) {
    Stage stage;
    stage.output = Bytes(choices.between(1, 8));
    stage.forward_time = nanoseconds(choices.between(1, 10));
    stage.forward_workspace = Bytes(choices.below(14));
    stage.options = {{"all", stage.output + Bytes(choices.below(6)), stage.forward_time,
                      stage.forward_workspace, nanoseconds(choices.between(1, 10)), Bytes()}};
    chain.stages.push_back(stage);
  }
  return chain;
}

TEST(ChainPlanner, MostlyFindsTheFastestPlanOfAnyKind) {
  int beyond_persistent = 0;
  int found = 0;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    RandomChoices choices(seed);
    const auto chain = chain_with_large_workspaces(choices);
    const auto ends = persistent_within(chain, Bytes(0));
    const auto range = (ends.plain_peak - ends.min_feasible).count();
    const auto budget = ends.min_feasible + Bytes(choices.below(std::max<std::int64_t>(1, range)));
    const auto persistent = persistent_within(chain, budget);
    const auto result = plan_within(chain, budget);
    expect_as_predicted(chain, result);
    EXPECT_EQ(result.plan.predicted_time + result.gained, persistent.plan.predicted_time);
    const nanoseconds fastest(testing::FastestChainTime(chain).within(budget.count()));
    SCOPED_TRACE(seed);
    ASSERT_GE(result.plan.predicted_time, fastest);
    ASSERT_LE(result.lower_bound_time, fastest);
    if (persistent.plan.predicted_time == fastest) continue;
    ++beyond_persistent;
    found += result.plan.predicted_time == fastest ? 1 : 0;
  }
  EXPECT_GE(beyond_persistent, 15);
  EXPECT_GE(3 * found, 2 * beyond_persistent);
}

// Rotor, Rockmate and ColossalAI test a save against the gradient of the stage's own output, where that
// of the segment's end is resident: their plan for 27 bytes needs 28.
TEST(ChainPlanner, CountsTheGradientThatIsResidentAtASave) {
  const Rotor rotor = {{7, 3, 9}, {6, 4, 5}, {6, 2, 3, 7}, {6, 6, 7}, {13, 0, 0}, {0, 0, 0}};
  const auto result = plan_within(rotor.chain(), Bytes(27));
  ASSERT_TRUE(result.feasible);
  EXPECT_EQ(simulate(rotor.chain(), result.plan).peak, Bytes(27));
  EXPECT_EQ(result.plan.predicted_time, nanoseconds(51));
  EXPECT_EQ(plan_within(rotor.chain(), Bytes(28)).plan.predicted_time, nanoseconds(44));
}

TEST(ChainPlanner, TakesThePlainStepWhereItFits) {
  const auto chain = equal_stages().chain();
  const auto plain_peak = plan_within(chain, Bytes(0)).plain_peak;
  const auto result = plan_within(chain, plain_peak);
  ASSERT_TRUE(result.feasible);
  EXPECT_EQ(result.plan.predicted_time, result.plain_time);
  EXPECT_EQ(result.lower_bound_time, result.plain_time);
  EXPECT_EQ(result.plan.predicted_peak, plain_peak);
  EXPECT_GT(plan_within(chain, plain_peak - Bytes(1)).plan.predicted_time, result.plain_time);
}

TEST(ChainPlanner, SaysWhatWouldFitWhereNothingDoes) {
  const auto chain = equal_stages().chain();
  const auto result = plan_within(chain, Bytes(6));
  EXPECT_FALSE(result.feasible);
  EXPECT_TRUE(result.plan.actions.empty());
  EXPECT_EQ(result.min_feasible, Bytes(7));
  EXPECT_EQ(result.plain_peak, Bytes(33));
}

TEST(ChainPlanner, KeepsWithinBudgetAndBoundOnTenThousandRandomChains) {
  for (std::uint64_t seed = 0; seed < 10000; ++seed) {
    RandomChoices choices(seed);
    const auto chain = testing::random_chain(choices, {15, 1000, 3});
    const auto ends = plan_within(chain, Bytes(0));
    const auto least = ends.min_feasible;
    const auto most = ends.plain_peak;
    const auto budget =
        least + Bytes(choices.below(std::max<std::int64_t>(1, (most - least).count())));
    // The search beyond persistent plans takes a hundred times as long.
    const bool searched = seed % 20 == 0;
    const auto result = searched ? plan_within(chain, budget) : persistent_within(chain, budget);
    SCOPED_TRACE(seed);
    ASSERT_TRUE(result.feasible);
    expect_as_predicted(chain, result);
    ASSERT_FALSE(plan_within(chain, least - Bytes(1)).feasible);
  }
}

TEST(ChainPlanner, PersistentPlansNeverTakeLongerWithMoreMemory) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    RandomChoices choices(seed);
    const auto chain = testing::random_chain(choices, {20, 1000, 2});
    const auto ends = plan_within(chain, Bytes(0));
    const auto step = (ends.plain_peak - ends.min_feasible) / 20 + Bytes(1);
    auto time = nanoseconds::max();
    for (auto budget = ends.min_feasible; budget <= ends.plain_peak; budget += step) {
      const auto result = persistent_within(chain, budget);
      ASSERT_TRUE(result.feasible);
      EXPECT_LE(result.plan.predicted_time, time);
      time = result.plan.predicted_time;
    }
  }
}

TEST(ChainPlanner, RefusesMoreStagesThanItsTablesHold) {
  auto chain = equal_stages().chain();
  chain.name = "long";
  chain.stages.resize(4097, chain.stages.front());
  EXPECT_EQ(complaint_of([&] { plan_within(chain, Bytes(7)); }),
            "plan_chain: chain \"long\" has 4097 stages, expected at most 4096: join some, or use "
            "plan_chain_segments or plan_chain_revolve");
}

TEST(ChainPlanner, RefusesAChainThatCannotBe) {
  auto chain = equal_stages().chain();
  chain.stages[2].options.clear();
  EXPECT_NE(complaint_of([&] { plan_within(chain, Bytes(7)); }).find("stages[2].options"),
            std::string::npos);
}

}  // namespace
}  // namespace remat

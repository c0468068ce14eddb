#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/chain_planner.h>
#include <remat/error.h>
#include <remat/simulator.h>

#include "plan/explanation.h"
#include "tests/testing/random_chain.h"

namespace remat::plan {
namespace {

using std::chrono::nanoseconds;

// Four stages that each save 40 bytes, 10 of them their output.
Chain four_stages() {
  Chain chain;
  chain.name = "four";
  chain.device = "none";
  chain.fixed = Bytes(7);
  chain.input = Bytes(5);
  for (int i = 0; i < 4; ++i) {
    Stage stage{"stage" + std::to_string(i), Bytes(10), {}, nanoseconds(3), Bytes(), {}};
    stage.options.push_back({"all", Bytes(40), nanoseconds(4), Bytes(), nanoseconds(8), Bytes()});
    chain.stages.push_back(stage);
  }
  return chain;
}

TEST(ChainExplanation, SaysWhatIsKeptAndWhatRunsAgain) {
  const auto chain = four_stages();
  const auto plan = plan_chain_segments(chain, Placement::every(2));
  const auto why = explain(chain, plan);
  ASSERT_EQ(why.kept.size(), 2U);
  EXPECT_EQ(why.kept[0].made_by, "stages, saved");
  EXPECT_EQ(why.kept[0].values, 2);
  EXPECT_EQ(why.kept[0].bytes, Bytes(80));
  EXPECT_EQ(why.kept[1].made_by, "activations to run from");
  EXPECT_EQ(why.kept[1].bytes, Bytes(10));
  EXPECT_EQ(kept_bytes(chain, plan), Bytes(90));
  ASSERT_EQ(why.replayed.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(why.replayed[i].made_by, "stage" + std::to_string(i));
    EXPECT_EQ(why.replayed[i].replays, 1);
    EXPECT_EQ(why.replayed[i].bytes, Bytes(40));
    EXPECT_EQ(why.replayed[i].time, nanoseconds(3));
  }
}

TEST(ChainExplanation, CountsAnActivationInsideASavedStageOnce) {
  const auto chain = four_stages();
  auto plan = plan_chain_segments(chain, Placement::none());
  EXPECT_EQ(kept_bytes(chain, plan), Bytes(160));
  plan.actions.insert(plan.actions.begin() + 1, CheckpointStage{0});  // runs saved stage 0 again
  EXPECT_EQ(kept_bytes(chain, plan), Bytes(160));
}

// Against the simulator, on plans of all kinds.
TEST(ChainExplanation, AddsUpToWhatTheSimulatorFinds) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    testing::RandomChoices choices(seed);
    const auto chain = testing::random_chain(choices);
    const auto plan = testing::random_chain_plan(chain, choices);
    const auto simulation = simulate(chain, plan);
    ASSERT_TRUE(simulation.valid()) << seed;
    const auto why = explain(chain, plan);
    std::int64_t replays = 0;
    nanoseconds time{0};
    for (const auto& group : why.replayed) {
      replays += group.replays;
      time += group.time;
    }
    EXPECT_EQ(replays, simulation.recomputed) << seed;
    EXPECT_EQ(time, simulation.time - simulation.plain_time) << seed;
    Bytes live;
    for (const auto& group : why.binding.groups) {
      EXPECT_GT(group.bytes, Bytes()) << seed << ' ' << group.what;
      live += group.bytes;
    }
    EXPECT_EQ(live, simulation.peak) << seed;
  }
}

TEST(ChainExplanation, RefusesAPlanForAnotherChain) {
  auto chain = four_stages();
  const auto plan = plan_chain_segments(chain, Placement::none());
  chain.stages.pop_back();
  EXPECT_THROW(explain(chain, plan), InvalidArgument);
}

}  // namespace
}  // namespace remat::plan

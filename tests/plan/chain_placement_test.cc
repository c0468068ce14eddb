#include <algorithm>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include <remat/chain_planner.h>
#include <remat/simulator.h>

#include "tests/testing/error_text.h"
#include "tests/testing/random_chain.h"

namespace remat {
namespace {

using testing::complaint_of;
using testing::RandomChoices;

std::string text_of(const ChainPlan& plan) {
  struct Writer {
    std::string operator()(CheckpointStage a) const { return "c" + std::to_string(a.stage); }
    std::string operator()(PassStage a) const { return "p" + std::to_string(a.stage); }
    std::string operator()(SaveStage a) const {
      return "s" + std::to_string(a.stage) + (a.option == 0 ? "" : "/" + std::to_string(a.option));
    }
    std::string operator()(BackwardStage a) const { return "b" + std::to_string(a.stage); }
  };
  std::string text;
  for (const auto& action : plan.actions)
    text += (text.empty() ? "" : " ") + std::visit(Writer(), action);
  return text;
}

// The second option is the faster one.
Chain chain_of(std::int64_t stages, std::int64_t saved = 3) {
  Chain chain;
  chain.name = "net";
  chain.input = Bytes(1);
  Stage stage;
  stage.output = Bytes(1);
  stage.forward_time = std::chrono::nanoseconds(1);
  StageOption slow{
      "few", Bytes(2), std::chrono::nanoseconds(1), Bytes(), std::chrono::nanoseconds(3), {}};
  StageOption fast{
      "all", Bytes(saved), std::chrono::nanoseconds(1), Bytes(), std::chrono::nanoseconds(2), {}};
  stage.options = {slow, fast};
  chain.stages.assign(static_cast<std::size_t>(stages), stage);
  return chain;
}

std::string segments_of(const std::string& placement) {
  return text_of(plan_chain_segments(chain_of(4), Placement::parse(placement)));
}

TEST(ChainPlacement, RunsCheckpointedSegmentsAgain) {
  EXPECT_EQ(segments_of("every:2"), "c0 p1 s2/1 s3/1 b3 b2 s0/1 s1/1 b1 b0");
  EXPECT_EQ(segments_of("every:3"), "c0 p1 p2 s3/1 b3 s0/1 s1/1 s2/1 b2 b1 b0");
  EXPECT_EQ(segments_of("segments:3"), "c0 p1 c2 s3/1 b3 s2/1 b2 s0/1 s1/1 b1 b0");
  EXPECT_EQ(segments_of("sqrt"), segments_of("segments:2"));
  EXPECT_EQ(segments_of("none"), "s0/1 s1/1 s2/1 s3/1 b3 b2 b1 b0");
  EXPECT_EQ(segments_of("full"), "c0 c1 c2 c3 s3/1 b3 s2/1 b2 s1/1 b1 s0/1 b0");
}

TEST(ChainPlacement, SaysWhatTheSimulatorFinds) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    RandomChoices choices(seed);
    const auto chain = testing::random_chain(choices, {12, 100, 2});
    for (const char* placement : {"none", "full", "every:1", "every:3", "segments:1", "sqrt"}) {
      const auto plan = plan_chain_segments(chain, Placement::parse(placement));
      const auto simulation = simulate(chain, plan);
      ASSERT_TRUE(simulation.valid()) << simulation.fault->what;
      EXPECT_EQ(plan.predicted_peak, simulation.peak);
      EXPECT_EQ(plan.predicted_time, simulation.time);
      EXPECT_EQ(plan.budget, simulation.peak);
      EXPECT_EQ(plan.planner, placement);
    }
  }
}

TEST(ChainPlacement, NeedsAStageForEachSegment) {
  EXPECT_NE(complaint_of([] {
              plan_chain_segments(chain_of(3), Placement::segments_of(4));
            }).find("4 segments need at least as many layers, but there are 3"),
            std::string::npos);
}

TEST(ChainPlacement, GreedyFindsAboutASquareRootOfEqualStages) {
  const auto chain = chain_of(100, 10);
  const auto plan = plan_chain_greedy(chain, Bytes(0));
  // Segments of k stages: 10 k inside one, 100 / k between them; least at k of about 3.
  EXPECT_LE(plan.predicted_peak, Bytes(70));
  EXPECT_EQ(plan.budget, Bytes(0));
  const auto checkpoints =
      std::count_if(plan.actions.begin(), plan.actions.end(),
                    [](const auto& a) { return std::holds_alternative<CheckpointStage>(a); });
  EXPECT_GE(checkpoints, 20);
  EXPECT_LE(checkpoints, 50);
}

TEST(ChainPlacement, GreedyTakesTheFastestThatFits) {
  const auto chain = chain_of(100, 10);
  const auto least = plan_chain_greedy(chain, Bytes(0));
  const auto roomy = plan_chain_greedy(chain, least.predicted_peak * 2);
  EXPECT_LE(roomy.predicted_peak, least.predicted_peak * 2);
  EXPECT_LT(roomy.predicted_time, least.predicted_time);
}

TEST(ChainPlacement, GreedyCutsUnequalStagesByTheirBytes) {
  auto chain = chain_of(8, 2);
  chain.stages[0].options.pop_back();
  chain.stages[0].options[0].saved = Bytes(1000);
  const auto plan = plan_chain_greedy(chain, Bytes(0));
  // The large stage has a segment of its own.
  EXPECT_EQ(text_of(plan).substr(0, 5), "c0 c1");
  EXPECT_TRUE(simulate(chain, plan).valid());
}

}  // namespace
}  // namespace remat

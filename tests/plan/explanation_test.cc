#include "plan/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/error.h>
#include <remat/simulator.h>

#include "plan/kept_values.h"
#include "plan/segment_plan.h"
#include "tests/testing/op_graphs.h"
#include "tests/testing/random_op_graph.h"

namespace remat::plan {
namespace {

using testing::layers_graph;

template <class Group>
Bytes total(const std::vector<Group>& groups) {
  Bytes bytes;
  for (const auto& group : groups) bytes += group.bytes;
  return bytes;
}

// Eight layers of 100 bytes: the even ones cheap, the odd ones dear and named otherwise.
OpGraph two_kinds_of_layers() {
  auto graph = layers_graph(8, 100);
  graph.fixed = Bytes(5000);
  for (std::size_t i = 0; i < 8; ++i) {
    graph.ops[i].name = i % 2 == 0 ? "cheap" : "dear";
    graph.ops[i].recompute_time = std::chrono::nanoseconds(i % 2 == 0 ? 3 : 70);
  }
  graph.ops[7].recompute = Recompute::kNever;
  return graph;
}

// every:2 keeps what leaves a segment, and all of the last one.
TEST(Explanation, GroupsWhatIsKeptByWhoMadeIt) {
  const auto graph = two_kinds_of_layers();
  const auto why = explain(graph, plan_segments(graph, Placement::every(2)));
  ASSERT_EQ(why.kept.size(), 2U);
  EXPECT_EQ(why.kept[0].made_by, "dear");
  EXPECT_EQ(why.kept[0].values, 4);
  EXPECT_EQ(why.kept[0].bytes, Bytes(400));
  EXPECT_EQ(why.kept[0].pinned, Bytes(100));
  EXPECT_EQ(why.kept[0].replay_time.count(), 3 * 70);
  EXPECT_EQ(why.kept[1].made_by, "cheap");
  EXPECT_EQ(why.kept[1].bytes, Bytes(100));
  EXPECT_EQ(why.kept[1].replay_time.count(), 3);
}

TEST(Explanation, GroupsWhatIsReplayed) {
  const auto graph = two_kinds_of_layers();
  const auto why = explain(graph, plan_segments(graph, Placement::every(2)));
  ASSERT_EQ(why.replayed.size(), 1U);
  EXPECT_EQ(why.replayed[0].made_by, "cheap");
  EXPECT_EQ(why.replayed[0].values, 3);
  EXPECT_EQ(why.replayed[0].bytes, Bytes(300));
  EXPECT_EQ(why.replayed[0].replays, 3);
  EXPECT_EQ(why.replayed[0].time.count(), 9);
}

TEST(Explanation, SaysWhatIsLiveAtThePeak) {
  const auto graph = two_kinds_of_layers();
  const auto why = explain(graph, plan_segments(graph, Placement::none()));
  EXPECT_TRUE(why.replayed.empty());
  // The first backward op: all activations, its own gradient and the next.
  EXPECT_EQ(why.binding.op, "op9 (op 9)");
  EXPECT_TRUE(why.binding.backward);
  EXPECT_FALSE(why.binding.replay);
  EXPECT_EQ(why.binding.live, Bytes(5902));
  ASSERT_EQ(why.binding.groups.size(), 6U);
  EXPECT_EQ(why.binding.groups[0].what, "fixed");
  EXPECT_EQ(why.binding.groups[1].what, "made by cheap");
  EXPECT_EQ(why.binding.groups[1].values, 4);
  EXPECT_EQ(why.binding.groups[3].what, "inputs");
}

// Breaks if: a model of a hundred layers is told layer by layer.
TEST(Explanation, TellsLayersOfOneKindTogether) {
  auto graph = layers_graph(8, 100);
  for (std::size_t i = 0; i < 8; ++i) {
    graph.ops[i].name = "blocks." + std::to_string(i / 2) + (i % 2 == 0 ? ".in: mm" : ".out: mm");
  }
  const auto why = explain(graph, plan_segments(graph, Placement::every(4)));
  ASSERT_EQ(why.kept.size(), 2U);
  EXPECT_EQ(why.kept[0].made_by, "blocks.1-3.out: mm");
  EXPECT_EQ(why.kept[0].values, 3);
  EXPECT_EQ(why.kept[1].made_by, "blocks.2-3.in: mm");
  ASSERT_EQ(why.replayed.size(), 2U);
  EXPECT_EQ(why.replayed[0].made_by, "blocks.0-1.in: mm");
  EXPECT_EQ(why.replayed[1].made_by, "blocks.0.out: mm");
  EXPECT_EQ(why.binding.groups[0].what, "made by blocks.1-3.out: mm");
}

// Against the simulator, on plans of all kinds.
TEST(Explanation, AddsUpToWhatTheSimulatorFinds) {
  int valid = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    testing::RandomChoices choices(seed);
    const auto graph = testing::random_op_graph(choices);
    const auto plan = testing::random_plan(graph, choices);
    const auto simulation = simulate(graph, plan);
    if (!simulation.valid()) continue;
    ++valid;
    const auto why = explain(graph, plan);
    EXPECT_EQ(total(why.binding.groups), simulation.peak) << seed;
    EXPECT_EQ(total(why.kept), kept_bytes(graph, plan)) << seed;
    std::int64_t replays = 0;
    std::chrono::nanoseconds time{0};
    for (const auto& group : why.replayed) {
      replays += group.replays;
      time += group.time;
    }
    EXPECT_EQ(replays, simulation.recomputed) << seed;
    EXPECT_EQ(time, simulation.time - simulation.plain_time) << seed;
  }
  EXPECT_GT(valid, 500);
}

TEST(Explanation, RefusesAPlanForAnotherGraph) {
  const auto plan = plan_segments(layers_graph(9, 100), Placement::none());
  try {
    explain(layers_graph(8, 100), plan);
    FAIL() << "it should have thrown";
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("explain: the plan is not one for op graph"));
  }
}

}  // namespace
}  // namespace remat::plan

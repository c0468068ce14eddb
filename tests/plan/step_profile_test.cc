#include "plan/step_profile.h"

#include <gtest/gtest.h>

#include <remat/simulator.h>

#include "plan/segment_plan.h"
#include "tests/testing/op_graphs.h"

namespace remat::plan {
namespace {

using std::chrono::nanoseconds;
using testing::layers_graph;

// Four layers of two operators of 10 ns and 100 bytes, each with a backward of 20 ns.
OpGraph named_layers() {
  auto graph = layers_graph(8, 100);
  for (std::size_t i = 0; i < 8; ++i) {
    const std::string layer = "net." + std::to_string(i / 2);
    graph.ops[i].name = layer + (i % 2 == 0 ? ".in: mm" : ": gelu");
    graph.ops[16 - i].name = layer + (i % 2 == 0 ? ".in: MmBackward" : ": GeluBackward");
  }
  graph.ops[8].name = "loss";
  graph.ops[3].workspace = Bytes(77);
  return graph;
}

TEST(StepProfile, SaysWhichLayersTakeTimeAndMemory) {
  const auto profile = plan::profile(named_layers());
  ASSERT_EQ(profile.layers.size(), 5U);
  EXPECT_EQ(profile.layers[0].name, "net.0");
  EXPECT_EQ(profile.layers[1].name, "net.1");
  EXPECT_EQ(profile.layers[1].ops, 4);
  EXPECT_EQ(profile.layers[1].forward, nanoseconds(20));
  EXPECT_EQ(profile.layers[1].backward, nanoseconds(40));
  EXPECT_EQ(profile.layers[1].values, 2);
  EXPECT_EQ(profile.layers[1].kept, Bytes(200));
  EXPECT_EQ(profile.layers[1].workspace, Bytes(77));
  EXPECT_EQ(profile.layers[4].name, "") << "the loss has no place";
  EXPECT_EQ(profile.layers[4].backward, nanoseconds(1));
}

TEST(StepProfile, SaysWhichKindsOfOperatorsDo) {
  const auto profile = plan::profile(named_layers());
  ASSERT_EQ(profile.kinds.size(), 5U);
  EXPECT_EQ(profile.kinds[0].time(), nanoseconds(80)) << "the longest first";
  EXPECT_EQ(profile.kinds[4].name, "loss");
  for (const auto& kind : profile.kinds) {
    if (kind.name == "mm" || kind.name == "gelu") {
      EXPECT_EQ(kind.forward, nanoseconds(40));
      EXPECT_EQ(kind.kept, Bytes(400));
    }
  }
}

TEST(StepProfile, AddsUpToTheStep) {
  const auto graph = named_layers();
  const auto profile = plan::profile(graph);
  const auto plain = simulate(graph, plan_segments(graph, Placement::none()));
  EXPECT_EQ(profile.peak, plain.peak);
  EXPECT_EQ(profile.all.time(), plain.plain_time);
  for (const auto* groups : {&profile.layers, &profile.kinds}) {
    ProfileGroup sum;
    for (const auto& group : *groups) {
      sum.ops += group.ops;
      sum.forward += group.forward;
      sum.backward += group.backward;
      sum.kept += group.kept;
    }
    EXPECT_EQ(sum.ops, 17);
    EXPECT_EQ(sum.forward, profile.all.forward);
    EXPECT_EQ(sum.backward, profile.all.backward);
    EXPECT_EQ(sum.kept, profile.all.kept);
  }
}

TEST(StepProfile, TakesTheMedianOfWhatIsTheSameStep) {
  std::vector<OpGraph> graphs(4, named_layers());
  graphs[0].ops[2].time = nanoseconds(1000);
  graphs[1].ops[2].time = nanoseconds(7);
  graphs[3].ops[2].time = nanoseconds(8);
  graphs[2].ops.pop_back();  // another step: its 10 ns do not count
  const auto median = with_median_times(graphs);
  EXPECT_EQ(median.ops[2].time, nanoseconds(8));
  EXPECT_EQ(median.ops[1].time, nanoseconds(10));
  EXPECT_EQ(median.ops.size(), 17U);
}

}  // namespace
}  // namespace remat::plan

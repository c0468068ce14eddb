#include "plan/kept_values.h"

#include <gtest/gtest.h>

#include "plan/segment_plan.h"
#include "tests/testing/op_graphs.h"

namespace remat::plan {
namespace {

using testing::layers_graph;
using testing::OpGraphBuilder;

TEST(KeptValues, AreAllActivationsOfThePlainStep) {
  const auto graph = layers_graph(6, 100);
  EXPECT_EQ(kept_bytes(graph, plan_segments(graph, Placement::none())), Bytes(600));
}

TEST(KeptValues, AreEverySecondActivationAndTheLastSegment) {
  const auto graph = layers_graph(6, 100);
  EXPECT_EQ(kept_bytes(graph, plan_segments(graph, Placement::every(2))), Bytes(400));
}

TEST(KeptValues, LeaveOutInputs) {
  OpGraphBuilder build;
  const auto input = build.value(1000);
  const auto made = build.value(10);
  build.op(Phase::kForward, 1, {input}, {made});
  build.op(Phase::kBackward, 1, {input, made}, {});
  const auto graph = build.graph();
  EXPECT_EQ(kept_bytes(graph, plan_segments(graph, Placement::none())), Bytes(10));
}

TEST(KeptValues, AreNoneWithoutBackward) {
  OpGraphBuilder build;
  build.op(Phase::kForward, 1, {}, {build.value(10)});
  const auto graph = build.graph();
  EXPECT_EQ(kept_bytes(graph, plan_segments(graph, Placement::none())), Bytes(0));
}

}  // namespace
}  // namespace remat::plan

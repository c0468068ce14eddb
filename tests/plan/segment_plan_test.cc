#include "plan/segment_plan.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/error.h>
#include <remat/simulator.h>

#include "tests/testing/error_text.h"
#include "tests/testing/op_graphs.h"
#include "tests/testing/random_op_graph.h"

namespace remat::plan {
namespace {

using remat::testing::complaint_of;
using remat::testing::layers_graph;
using remat::testing::OpGraphBuilder;
using ::testing::ElementsAre;

std::vector<std::int64_t> run_ops(const Plan& plan) {
  std::vector<std::int64_t> ops;
  for (const auto& action : plan.actions) {
    if (const auto* run = std::get_if<RunOp>(&action))
      ops.push_back(static_cast<std::int64_t>(run->op));
  }
  return ops;
}

TEST(SegmentPlan, RunsThePlainStepAndDropsEachValueAfterItsLastUse) {
  const auto graph = layers_graph(3, 100);
  const auto plan = plan_segments(graph, Placement::none());
  EXPECT_THAT(run_ops(plan), ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_EQ(plan.predicted_time, std::chrono::nanoseconds(91));
  EXPECT_EQ(plan.plain_time, std::chrono::nanoseconds(91));
  // Four activations and, while the first backward runs, two gradients.
  EXPECT_EQ(plan.predicted_peak, Bytes(402));
  EXPECT_EQ(plan.budget, plan.predicted_peak);
}

TEST(SegmentPlan, ReplaysEachSegmentButTheLastBeforeItsBackward) {
  const auto graph = layers_graph(6, 100);
  const auto plan = plan_segments(graph, Placement::every(2));
  // The last activation of a segment is the input of the next: it is kept, not made again.
  EXPECT_THAT(run_ops(plan), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 2, 9, 10, 0, 11, 12));
  // Activations 0, 2, 4, 5, 6.
  EXPECT_EQ(plan.predicted_peak, Bytes(502));
  EXPECT_EQ(plan.predicted_time - plan.plain_time, std::chrono::nanoseconds(20));
  EXPECT_EQ(plan.planner, "every:2");
}

TEST(SegmentPlan, KeepsWhatMayNotBeMadeAgain) {
  auto graph = layers_graph(6, 100);
  graph.ops[2].recompute = Recompute::kNever;
  EXPECT_THAT(run_ops(plan_segments(graph, Placement::every(2))),
              ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 11, 12));
}

// x -> f -> a -> relu_ in place -> b -> g -> c; backward reads c, b; nothing but relu_ reads a.
OpGraph in_place_graph(bool backward_reads_a) {
  OpGraphBuilder build;
  const auto x = build.value(100), a = build.value(100), b = build.value(100), c = build.value(100);
  build.op(Phase::kForward, 1, {x}, {a});
  build.op(Phase::kForward, 1, {a}, {b}).reuses = {{a, b}};
  build.op(Phase::kForward, 1, {b}, {c});
  build.op(Phase::kForward, 1, {c}, {build.value(100)});
  build.op(Phase::kBackward, 1, backward_reads_a ? std::vector{c, b, a} : std::vector{c, b},
           {build.value(1)});
  return build.graph();
}

TEST(SegmentPlan, MakesAgainWhatWasOverwrittenInPlace) {
  const auto plan = plan_segments(in_place_graph(false), Placement::every(3));
  EXPECT_THAT(run_ops(plan), ElementsAre(0, 1, 2, 3, 0, 1, 4));
  // The plain step too, if something reads it afterwards.
  EXPECT_THAT(run_ops(plan_segments(in_place_graph(true), Placement::none())),
              ElementsAre(0, 1, 2, 3, 0, 4));
}

TEST(SegmentPlan, RefusesAStepThatNeedsWhatIsOverwrittenForGood) {
  auto graph = in_place_graph(true);
  graph.ops[0].recompute = Recompute::kNever;
  EXPECT_EQ(complaint_of([&] { plan_segments(graph, Placement::none()); }),
            "plan: op graph \"built\": op 4 (op4) needs value 1 after it was overwritten in place "
            "(`reuses`), and it cannot be made again; expected an op that reads it before that");
}

TEST(SegmentPlan, RefusesMoreSegmentsThanForwardHasOps) {
  EXPECT_THROW(plan_segments(layers_graph(3, 1), Placement::segments_of(4)), InvalidArgument);
}

TEST(SegmentPlan, DropsInputsThatNothingReads) {
  OpGraphBuilder build;
  build.value(1000);
  build.op(Phase::kForward, 1, {}, {build.value(1)});
  EXPECT_EQ(plan_segments(build.graph(), Placement::none()).actions.front(),
            PlanAction(DropValue{ValueId{0}}));
}

TEST(SegmentPlan, IsValidForAnyGraphThatCanBeRun) {
  int planned = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    remat::testing::RandomChoices choices(seed);
    const auto graph = remat::testing::random_op_graph(choices, {20, 100});
    for (const char* rule : {"none", "full", "every:2", "every:3", "sqrt"}) {
      try {
        const auto plan = plan_segments(graph, Placement::parse(rule));
        const auto simulation = simulate(graph, plan);
        ASSERT_TRUE(simulation.valid())
            << "seed " << seed << " " << rule << ": " << simulation.fault->what;
        ++planned;
      } catch (const InvalidArgument& error) {
        ASSERT_NE(std::string(error.what()).find("overwritten in place"), std::string::npos)
            << error.what();
      }
    }
  }
  EXPECT_GT(planned, 9000);
}

// Measured graphs of Checkmate's authors; their peaks without recomputation are in GiB of 2^30
// (../shared/reference/planners.md, 4.8).
class SegmentPlanOfProfiles : public ::testing::Test {
 protected:
  static OpGraph read(const std::string& name) {
    const auto path = REMAT_SHARED "/profiles/" + name + ".opgraph.json";
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return read_op_graph(text.str(), path);
  }

  void SetUp() override {
    if (!std::filesystem::exists(REMAT_SHARED "/profiles")) {
      GTEST_SKIP() << "there is no " REMAT_SHARED "/profiles: set REMAT_SHARED when configuring";
    }
  }

  static double gib(Bytes bytes) { return static_cast<double>(bytes.count()) / (1 << 30); }
};

TEST_F(SegmentPlanOfProfiles, HasTheirPlainPeaks) {
  for (const auto& [name, peak] :
       {std::pair("resnet50_184", 21.0), {"unet_11", 17.3}, {"vgg16_176", 18.8}}) {
    const auto graph = read(name);
    EXPECT_NEAR(gib(plan_segments(graph, Placement::none()).predicted_peak - graph.fixed), peak,
                0.05)
        << name;
  }
}

TEST_F(SegmentPlanOfProfiles, TradesTimeForMemory) {
  for (const char* name : {"resnet50_184", "unet_11", "vgg16_176"}) {
    const auto graph = read(name);
    const auto plain = plan_segments(graph, Placement::none());
    const auto sqrt = plan_segments(graph, Placement::sqrt());
    EXPECT_LT(sqrt.predicted_peak, plain.predicted_peak) << name;
    EXPECT_GT(sqrt.predicted_time, plain.predicted_time) << name;
    std::int64_t forward_ns = 0;
    for (const auto& op : graph.ops)
      forward_ns += op.phase == Phase::kForward ? op.time.count() : 0;
    EXPECT_LT(sqrt.predicted_time.count(), plain.predicted_time.count() + forward_ns) << name;
  }
}

}  // namespace
}  // namespace remat::plan

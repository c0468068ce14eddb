#include "plan/repetition.h"

#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/planner.h>
#include <remat/simulator.h>

#include "graph/indexed_graph.h"
#include "plan/reduced_graph.h"
#include "plan/repeated_search.h"
#include "plan/retention_space.h"
#include "plan/retention_state.h"
#include "tests/plan/transformer_step.h"
#include "tests/testing/op_graphs.h"

namespace remat::plan {
namespace {

using remat::testing::layers_graph;
using remat::testing::OpGraphBuilder;

// Blocks of three forward ops with a connection past them, as a transformer's, between one op before and
// one behind; backward in reverse.
OpGraph blocks_graph(int blocks) {
  OpGraphBuilder build(50);
  const auto input = build.value(7);
  auto x = build.value(100);
  build.op(Phase::kForward, 5, {input}, {x}).name = "embed";
  struct Saved {
    ValueId x, a, b, y;
  };
  std::vector<Saved> saved;
  for (int i = 0; i < blocks; ++i) {
    const Saved block{x, build.value(400), build.value(200), build.value(100)};
    build.op(Phase::kForward, 30 + i % 3, {x}, {block.a}).name = "widen";
    build.op(Phase::kForward, 10, {block.a}, {block.b}).name = "gate";
    build.op(Phase::kForward, 20, {x, block.b}, {block.y}).name = "narrow";
    saved.push_back(block);
    x = block.y;
  }
  auto gradient = build.value(100);
  build.op(Phase::kBackward, 5, {x}, {gradient}).name = "loss";
  for (int i = blocks; i-- > 0;) {
    const auto& block = saved[static_cast<std::size_t>(i)];
    const auto narrow = build.value(200);
    build.op(Phase::kBackward, 40, {gradient, block.b}, {narrow}).name = "narrow_backward";
    const auto gate = build.value(400);
    build.op(Phase::kBackward, 10, {narrow, block.a}, {gate}).name = "gate_backward";
    const auto next = build.value(100);
    build.op(Phase::kBackward, 60, {gate, gradient, block.x}, {next}).name = "widen_backward";
    gradient = next;
  }
  return build.graph();
}

std::vector<std::uint64_t> signatures(const std::string& letters) {
  return {letters.begin(), letters.end()};
}

TEST(Period, CoversAsMuchAsItCan) {
  const auto period = find_period(signatures("xabcabcabcaby"), 3);
  ASSERT_TRUE(period);
  EXPECT_EQ(period->begin, 1);
  EXPECT_EQ(period->period, 3);
  EXPECT_EQ(period->copies, 3);
}

TEST(Period, IsNoneWithTooFewCopies) {
  EXPECT_FALSE(find_period(signatures("xabcabcy"), 3));
  EXPECT_FALSE(find_period(signatures(""), 3));
}

TEST(Period, MayBeOneOp) {
  const auto period = find_period(signatures("xyaaaaz"), 4);
  ASSERT_TRUE(period);
  EXPECT_EQ(period->begin, 2);
  EXPECT_EQ(period->period, 1);
  EXPECT_EQ(period->copies, 4);
}

TEST(Repetition, NumbersBackwardsBlocksAsForwards) {
  const auto graph = blocks_graph(10);
  const graph::IndexedGraph index(graph, "test");
  const auto repetition = find_repetition(graph, index, 8);
  ASSERT_TRUE(repetition);
  EXPECT_EQ(repetition->blocks, 10);
  std::vector<int> ops_of_block(10);
  for (std::size_t op = 0; op < graph.ops.size(); ++op) {
    const auto block = repetition->ops[op].block;
    const auto& name = graph.ops[op].name;
    EXPECT_EQ(block < 0, name == "embed" || name == "loss") << name;
    if (block >= 0) ++ops_of_block[static_cast<std::size_t>(block)];
  }
  EXPECT_THAT(ops_of_block, ::testing::Each(6));
  EXPECT_EQ(repetition->ops[1].block, 0);
  EXPECT_EQ(repetition->ops[graph.ops.size() - 1].block, 0);
}

TEST(Repetition, IsNoneInAGraphOfDifferentOps) {
  auto graph = blocks_graph(10);
  for (std::size_t op = 0; op < graph.ops.size(); ++op) graph.ops[op].name += std::to_string(op);
  const graph::IndexedGraph index(graph, "test");
  EXPECT_FALSE(find_repetition(graph, index, 8));
}

TEST(Repetition, IsNoneWhereWhatCanBeMadeAgainHasDifferentSizes) {
  auto graph = blocks_graph(10);
  for (std::size_t value = 0; value < graph.values.size(); ++value) {
    graph.values[value].bytes += Bytes(static_cast<std::int64_t>(value));
  }
  const graph::IndexedGraph index(graph, "test");
  EXPECT_FALSE(find_repetition(graph, index, 8));
}

// In a measured step each op is named after where it is, and what backward cannot let go of grows.
TEST(Repetition, IsThatOfTheBlocksOfAMeasuredStep) {
  const auto even = blocks_graph(10);
  auto graph = even;
  for (std::size_t op = 0; op < graph.ops.size(); ++op) {
    auto& measured = graph.ops[op];
    measured.name = "blocks." + std::to_string(op) + ": " + measured.name;
    if (measured.phase == Phase::kForward) continue;
    measured.recompute = Recompute::kNever;
    measured.workspace = Bytes(static_cast<std::int64_t>(op));
    for (const auto value : measured.writes) {
      graph.values[static_cast<std::size_t>(value)].bytes += Bytes(static_cast<std::int64_t>(op));
    }
  }
  const auto expected = find_repetition(even, graph::IndexedGraph(even, "test"), 8);
  const auto found = find_repetition(graph, graph::IndexedGraph(graph, "test"), 8);
  ASSERT_TRUE(found && expected);
  EXPECT_EQ(found->blocks, 10);
  for (std::size_t op = 0; op < graph.ops.size(); ++op) {
    EXPECT_EQ(found->ops[op].block, expected->ops[op].block) << op;
    EXPECT_EQ(found->ops[op].within, expected->ops[op].within) << op;
  }
}

// What the test's graphs are to the search.
struct Parts {
  explicit Parts(OpGraph made)
      : graph(std::move(made)), index(graph, "test"), space(graph, index) {}
  OpGraph graph;
  graph::IndexedGraph index;
  RetentionSpace space;
};

TEST(ReducedGraph, IsTheGraphOfFewerBlocks) {
  const Parts whole(blocks_graph(12));
  const auto repetition = find_repetition(whole.graph, whole.index, 8);
  ASSERT_TRUE(repetition);
  const ReducedGraph reduced(whole.graph, whole.index, *repetition, 4);
  const Parts few(reduced.graph());
  const Parts made_so(blocks_graph(4));
  ASSERT_EQ(few.graph.ops.size(), made_so.graph.ops.size());
  EXPECT_EQ(few.graph.values.size(), made_so.graph.values.size());
  for (std::size_t op = 0; op < few.graph.ops.size(); ++op) {
    EXPECT_EQ(few.graph.ops[op].name, made_so.graph.ops[op].name);
    EXPECT_EQ(few.graph.ops[op].reads.size(), made_so.graph.ops[op].reads.size()) << op;
  }
  EXPECT_EQ(RetentionState(few.space, 1).peak(), RetentionState(made_so.space, 1).peak());
}

// Drops all that is called `b` between forward and backward, in a few blocks, and expands that.
TEST(ReducedGraph, ExpandsDecisionsToAllBlocks) {
  const Parts whole(blocks_graph(12));
  const auto repetition = find_repetition(whole.graph, whole.index, 8);
  ASSERT_TRUE(repetition);
  const ReducedGraph reduced(whole.graph, whole.index, *repetition, 4);
  const Parts few(reduced.graph());
  Patterns patterns(few.space.gaps.size(), kKeepThroughout);
  for (const auto value : few.space.bytes.places()) {
    const auto writer = few.index.writer(value.index());
    if (writer && few.graph.ops[*writer].name == "gate") {
      patterns[few.space.first_gap[value] + 1] = kKeepOnceReplayed;
    }
  }
  for (const auto order : {BlockOrder::kInProportion, BlockOrder::kInTurn}) {
    RetentionState state(whole.space, 1);
    const auto expanded = reduced.expand(whole.space, {few.space, patterns}, order);
    state.begin();
    for (const auto gap : expanded.places()) state.keep(gap, expanded[gap]);
    state.apply();
    EXPECT_EQ(state.replay_time(), 12 * 10);
  }
}

TEST(PlanGraph, PlansManyEqualBlocksByAFewOfThem) {
  const auto graph = blocks_graph(400);
  const graph::IndexedGraph index(graph, "test");
  ASSERT_TRUE(RepeatedSearch::repetition_of(graph, index));
  // 400 blocks keep 700 bytes each in the plain step and at least 100 for what is passed on, unless
  // that is made again from an earlier one.
  const auto result = plan_graph(graph, {.memory = Bytes(110'000), .effort = 6'000'000});
  ASSERT_TRUE(result.feasible);
  EXPECT_LE(result.plan.predicted_peak, Bytes(110'000));
  EXPECT_GT(result.plain_peak, Bytes(280'000));
  const auto simulation = simulate(graph, result.plan);
  EXPECT_TRUE(simulation.valid());
  EXPECT_EQ(simulation.time, result.plan.predicted_time);
  // To keep 175 of the 700 droppable bytes a block, each must make `a` and more than a third of `b` again:
  // at least 31 + 10 / 3 of 171 on average. At most: all of both.
  const auto overhead = static_cast<double>(simulation.time.count()) /
                            static_cast<double>(simulation.plain_time.count()) -
                        1;
  EXPECT_LT(overhead, 45.0 / 171);
}

TEST(Repetition, FindsTheBlocksOfADecoder) {
  testing::DecoderSizes sizes;
  sizes.blocks = 12;
  const auto graph = testing::transformer_step(sizes);
  const graph::IndexedGraph index(graph, "test");
  const auto repetition = find_repetition(graph, index, 8);
  ASSERT_TRUE(repetition);
  EXPECT_EQ(repetition->blocks, 12);
  std::vector<int> ops_of_block(12);
  for (const auto& op : repetition->ops) {
    if (op.block >= 0) ++ops_of_block[static_cast<std::size_t>(op.block)];
  }
  EXPECT_THAT(ops_of_block, ::testing::Each(80));
}

double share_of_plain(std::chrono::nanoseconds time, const Plan& plan) {
  return static_cast<double>(time.count()) / static_cast<double>(plan.plain_time.count());
}

// A tenth of the default effort simulates 350 steps. The search that knows no blocks finds no plan with ten times
// that.
TEST(PlanGraph, PlansADecoderOf20000OpsByItsBlocks) {
  const auto graph = testing::transformer_step({.blocks = 80, .attention_parts = 10});
  ASSERT_EQ(graph.ops.size(), 80 * 251 + 15);
  const auto effort = default_effort(graph) / 10;
  const graph::IndexedGraph index(graph, "test");
  const RetentionSpace space(graph, index);
  const Bytes plain_peak(RetentionState(space, 1).peak());
  for (const int share : {2, 3}) {  // of what the plain step needs above what is fixed
    const auto memory = graph.fixed + (plain_peak - graph.fixed) / share;
    const auto result = plan_graph(graph, {.memory = memory, .effort = effort});
    ASSERT_TRUE(result.feasible) << share;
    EXPECT_EQ(result.plain_peak, plain_peak);
    const auto simulation = simulate(graph, result.plan);
    EXPECT_TRUE(simulation.valid());
    EXPECT_LE(simulation.peak, memory);
    EXPECT_EQ(simulation.time, result.plan.predicted_time);
    EXPECT_LT(share_of_plain(simulation.time, result.plan),
              share_of_plain(result.plan.lower_bound_time, result.plan) + 0.04);
  }
}

TEST(PlanGraph, LeavesSmallGraphsWhole) {
  const auto graph = blocks_graph(20);
  const graph::IndexedGraph index(graph, "test");
  EXPECT_FALSE(RepeatedSearch::repetition_of(graph, index));
}

}  // namespace
}  // namespace remat::plan

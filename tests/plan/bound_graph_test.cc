#include "plan/bound_graph.h"

#include <cstddef>
#include <cstdint>

#include <gtest/gtest.h>

#include <remat/simulator.h>

#include "graph/indexed_graph.h"
#include "plan/replay_problem.h"
#include "tests/plan/random_step.h"
#include "tests/testing/random_op_graph.h"

namespace remat::plan {
namespace {

void expect_equal_sums(const OpGraph& graph) {
  const BoundGraph bounds(graph, graph::IndexedGraph(graph, "test"));
  if (!bounds.possible) return;
  const auto sums = moment_bytes(bounds);
  for (Place moment = 0; moment < bounds.moments(); ++moment) {
    const auto place = static_cast<std::size_t>(moment);
    const auto problem = replay_problem(bounds, {moment, 1000});
    ASSERT_EQ(bounds.fixed + sums.forced[place], problem.forced) << moment << to_json(graph);
    EXPECT_EQ(problem.room, 1000 - problem.forced);
    EXPECT_LE(sums.forced[place], sums.all_replayed[place]);
  }
}

TEST(MomentBytes, AreThoseOfEachMomentsProblem) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    testing::RandomChoices choices(seed);
    expect_equal_sums(testing::random_op_graph(choices, {20, 20}));
    expect_equal_sums(testing::random_step(choices, {8, 20, 3}));
  }
}

// What is resident as each op runs first, in plans that were not made by a planner.
TEST(MomentBytes, AreNeverMoreThanAPlanHas) {
  int runs = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    testing::RandomChoices choices(seed);
    const auto graph = testing::random_op_graph(choices, {20, 20});
    const auto plan = testing::random_plan(graph, choices);
    const auto simulation = simulate(graph, plan);
    if (!simulation.valid()) continue;
    const BoundGraph bounds(graph, graph::IndexedGraph(graph, "test"));
    ASSERT_TRUE(bounds.possible) << seed;
    const auto sums = moment_bytes(bounds);
    std::size_t next = 0;
    for (const auto& moment : simulation.timeline) {
      const auto* run = std::get_if<RunOp>(&plan.actions[static_cast<std::size_t>(moment.action)]);
      if (run == nullptr || next == graph.ops.size() || run->op != graph.ops[next].id) continue;
      ASSERT_LE(bounds.fixed + sums.forced[next], moment.live.count()) << seed << " " << next;
      ++next;
      ++runs;
    }
  }
  EXPECT_GT(runs, 2000);
}

}  // namespace
}  // namespace remat::plan

#include "plan/retention_state.h"

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/error.h>
#include <remat/simulator.h>

#include "graph/indexed_graph.h"
#include "plan/run_sequence.h"
#include "plan/warm_patterns.h"
#include "tests/testing/choices.h"
#include "tests/testing/op_graphs.h"
#include "tests/testing/random_op_graph.h"

namespace remat::plan {
namespace {

using remat::testing::Choices;
using remat::testing::layers_graph;
using remat::testing::random_op_graph;
using remat::testing::RandomChoices;
using ::testing::ElementsAre;

// A graph that the search accepts: nothing reads what was overwritten and cannot be made again.
struct SearchedGraph {
  explicit SearchedGraph(OpGraph made)
      : graph(std::move(made)), index(graph, "test"), space(graph, index) {}
  OpGraph graph;
  graph::IndexedGraph index;
  RetentionSpace space;

  std::int64_t input_bytes() const {
    std::int64_t sum = graph.fixed.count();
    for (std::size_t value = 0; value < graph.values.size(); ++value) {
      if (!index.writer(value)) sum += graph.values[value].bytes.count();
    }
    return sum;
  }
};

// The second output of each op becomes an input.
void leave_one_output(OpGraph& graph) {
  for (auto& op : graph.ops) {
    if (op.writes.size() < 2) continue;
    op.writes.resize(1);
    const auto gone = [&](const StorageReuse& reuse) { return reuse.written != op.writes[0]; };
    op.reuses.erase(std::remove_if(op.reuses.begin(), op.reuses.end(), gone), op.reuses.end());
  }
}

std::optional<OpGraph> searchable_graph(Choices& choices, bool one_output = false) {
  auto graph = random_op_graph(choices, {/*ops=*/24, /*size=*/100});
  if (one_output) leave_one_output(graph);
  const graph::IndexedGraph index(graph, "test");
  try {
    RetentionSpace space(graph, index);
    return graph;
  } catch (const InvalidArgument&) {
    return std::nullopt;
  }
}

void change_at_random(RetentionState& state, const RetentionSpace& space, Choices& choices) {
  state.begin();
  for (auto left = choices.between(1, 4); left > 0; --left) {
    const auto gap = choices.below(static_cast<std::int64_t>(space.gaps.size()));
    const auto pattern = static_cast<unsigned>(choices.below(kPatterns));
    state.keep(GapPlace(static_cast<std::size_t>(gap)), KeepPattern(pattern));
  }
  state.apply();
}

// The values of a state that can be compared.
struct Told {
  std::vector<std::size_t> runs;
  Patterns patterns;
  std::int64_t time = 0, excess = 0, peak = 0;

  explicit Told(const RetentionState& state)
      : runs(state.runs()),
        patterns(state.patterns()),
        time(state.replay_time()),
        excess(state.excess()),
        peak(state.peak()) {}
  bool operator==(const Told&) const = default;
};

Told told_anew(const RetentionSpace& space, std::int64_t budget, const Patterns& patterns) {
  RetentionState state(space, budget);
  state.begin();
  for (const auto gap : patterns.places()) state.keep(gap, patterns[gap]);
  state.apply();
  return Told(state);
}

constexpr std::uint64_t kSeeds = 400;

struct Comparison {
  std::int64_t searched_peak = 0;
  std::int64_t simulated_peak = 0;
};

// Random decisions on a graph, each compared with the simulator's execution of the plan.
std::vector<Comparison> compare_with_simulator(OpGraph graph, Choices& choices) {
  const SearchedGraph searched(std::move(graph));
  RetentionState state(searched.space, 100);
  std::vector<Comparison> comparisons;
  for (int move = 0; move < 10; ++move) {
    change_at_random(state, searched.space, choices);
    const auto plan = with_drops(searched.graph, searched.index, state.runs());
    const auto simulation = simulate(searched.graph, plan);
    EXPECT_TRUE(simulation.valid()) << simulation.fault->what;
    EXPECT_EQ(state.replay_time(), (simulation.time - simulation.plain_time).count());
    // Before its first op a step has all of its inputs; the state begins with that op.
    comparisons.push_back(
        {std::max(state.peak(), searched.input_bytes()), simulation.peak.count()});
  }
  return comparisons;
}

TEST(RetentionState, SaysWhatTheSimulatorSays) {
  int compared = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    RandomChoices choices(seed);
    const auto graph = searchable_graph(choices, /*one_output=*/true);
    if (!graph || graph->values.empty()) continue;
    for (const auto& peaks : compare_with_simulator(*graph, choices)) {
      ASSERT_EQ(peaks.searched_peak, peaks.simulated_peak) << "seed " << seed;
      ++compared;
    }
  }
  EXPECT_GT(compared, 2000);
}

// An output that is kept while its op runs again for the other one counts until then.
TEST(RetentionState, NeverSaysLessThanTheSimulatorOfOpsWithTwoOutputs) {
  int compared = 0, equal = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    RandomChoices choices(seed);
    const auto graph = searchable_graph(choices);
    if (!graph || graph->values.empty()) continue;
    for (const auto& peaks : compare_with_simulator(*graph, choices)) {
      ASSERT_GE(peaks.searched_peak, peaks.simulated_peak) << "seed " << seed;
      ++compared;
      equal += peaks.searched_peak == peaks.simulated_peak ? 1 : 0;
    }
  }
  EXPECT_GT(compared, 2000);
  EXPECT_GT(equal, compared * 9 / 10);
}

TEST(RetentionState, IsTheSameHoweverItWasReached) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    RandomChoices choices(seed);
    auto made = searchable_graph(choices);
    if (!made || made->values.empty()) continue;
    const SearchedGraph searched(std::move(*made));
    const auto budget = choices.between(0, 600);
    RetentionState state(searched.space, budget);
    for (int move = 0; move < 20; ++move) change_at_random(state, searched.space, choices);
    ASSERT_EQ(Told(state), told_anew(searched.space, budget, state.patterns())) << "seed " << seed;
  }
}

TEST(RetentionState, TakesAMoveBackWhole) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    RandomChoices choices(seed);
    auto made = searchable_graph(choices);
    if (!made || made->values.empty()) continue;
    const SearchedGraph searched(std::move(*made));
    RetentionState state(searched.space, choices.between(0, 600));
    for (int move = 0; move < 20; ++move) {
      const Told before(state);
      change_at_random(state, searched.space, choices);
      if (choices.one_in(3)) continue;
      state.undo();
      ASSERT_EQ(Told(state), before) << "seed " << seed << ", move " << move;
    }
  }
}

TEST(RetentionState, MakesAgainWhatWasDroppedJustBeforeItIsNeeded) {
  const SearchedGraph searched(layers_graph(3, 100));
  RetentionState state(searched.space, 1000);
  EXPECT_EQ(state.peak(), 402);
  state.begin();
  // Activation 1 is read by forward 1 and by backward 1 and 0: drop it from the first on.
  const auto gap = searched.space.first_gap[ValuePlace(1)] + 1;
  state.keep(gap, kKeepOnceReplayed);
  EXPECT_TRUE(state.changed());
  state.apply();
  EXPECT_THAT(state.runs(), ElementsAre(0u, 1u, 2u, 3u, 4u, 0u, 5u, 6u));
  EXPECT_EQ(state.replay_time(), 10);
}

TEST(WarmPatterns, DropWhatTheOpsWriteOnlyWhileTheMomentPasses) {
  const SearchedGraph searched(layers_graph(4, 100));
  // While backward begins: activations 1 and 2 are away, and made again when backward reads them.
  const auto patterns = patterns_replaying(searched.space, Slot(4), {OpPlace(0), OpPlace(1)});
  const auto told = told_anew(searched.space, 1000, patterns);
  EXPECT_THAT(told.runs, ElementsAre(0u, 1u, 2u, 3u, 4u, 5u, 0u, 1u, 6u, 7u, 8u));
}

TEST(WarmPatterns, ReplayNoMoreThanTheRunsTheyWereReadFrom) {
  int exact = 0, compared = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    RandomChoices choices(seed);
    auto made = searchable_graph(choices);
    if (!made || made->values.empty()) continue;
    const SearchedGraph searched(std::move(*made));
    RetentionState state(searched.space, 100);
    for (int move = 0; move < 5; ++move) change_at_random(state, searched.space, choices);
    const auto patterns = patterns_of(searched.space, state.runs());
    const auto again = told_anew(searched.space, 100, patterns);
    ++compared;
    exact += again.runs == state.runs() ? 1 : 0;
  }
  EXPECT_EQ(exact, compared);
}

}  // namespace
}  // namespace remat::plan

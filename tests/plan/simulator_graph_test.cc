#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/simulator.h>

#include "tests/testing/error_text.h"

namespace remat {
namespace {

using std::chrono::nanoseconds;
using testing::complaint_of;
using ::testing::ElementsAre;

// x -> f -> a -> g -> b -> loss -> l, then backward of g (reads a, l) and of f (reads x, gb).
class GraphSimulator : public ::testing::Test {
 protected:
  GraphSimulator() {
    graph_.name = "net";
    graph_.fixed = Bytes(1000);
    for (const auto& [id, bytes] :
         {std::pair(kX, 1), {kA, 10}, {kB, 20}, {kL, 2}, {kGb, 40}, {kGa, 80}}) {
      graph_.values.push_back({id, Bytes(bytes), {}});
    }
    add(kF, Phase::kForward, {kX}, {kA});
    add(kG, Phase::kForward, {kA}, {kB});
    add(kLoss, Phase::kForward, {kB}, {kL});
    add(kBackG, Phase::kBackward, {kA, kL}, {kGb});
    add(kBackF, Phase::kBackward, {kX, kGb}, {kGa});
  }

  static constexpr ValueId kX{0}, kA{10}, kB{20}, kL{30}, kGb{40}, kGa{50};
  static constexpr OpId kF{1}, kG{2}, kLoss{3}, kBackG{4}, kBackF{5};

  void add(OpId id, Phase phase, std::vector<ValueId> reads, std::vector<ValueId> writes) {
    GraphOp op;
    op.id = id;
    op.name = "op_" + std::to_string(static_cast<int>(id));
    op.phase = phase;
    op.time = nanoseconds(100 + static_cast<int>(id));
    op.reads = std::move(reads);
    op.writes = std::move(writes);
    graph_.ops.push_back(op);
  }

  GraphOp& op(OpId id) {
    return *std::find_if(graph_.ops.begin(), graph_.ops.end(),
                         [id](const GraphOp& op) { return op.id == id; });
  }

  GraphValue& value(ValueId id) {
    return *std::find_if(graph_.values.begin(), graph_.values.end(),
                         [id](const GraphValue& value) { return value.id == id; });
  }

  static PlanAction run(OpId op) { return RunOp{op}; }
  static PlanAction drop(ValueId value) { return DropValue{value}; }

  Simulation simulate(std::vector<PlanAction> actions) const {
    Plan plan;
    plan.actions = std::move(actions);
    return remat::simulate(graph_, plan);
  }

  // "action: what"
  std::string fault(std::vector<PlanAction> actions) const {
    const auto simulation = simulate(std::move(actions));
    if (simulation.valid()) return "none";
    return std::to_string(simulation.fault->action) + ": " + simulation.fault->what;
  }

  static std::vector<std::int64_t> live(const Simulation& simulation) {
    std::vector<std::int64_t> live;
    for (const auto& moment : simulation.timeline) live.push_back(moment.live.count());
    return live;
  }

  OpGraph graph_;
};

TEST_F(GraphSimulator, AddsUpThePlainStep) {
  const auto plain = simulate({run(kF), run(kG), run(kLoss), run(kBackG), run(kBackF)});
  EXPECT_TRUE(plain.valid());
  EXPECT_THAT(live(plain), ElementsAre(1011, 1031, 1033, 1073, 1153));
  EXPECT_EQ(plain.peak, Bytes(1153));
  EXPECT_EQ(plain.peak_action, 4);
  EXPECT_EQ(plain.time, nanoseconds(515));
  EXPECT_EQ(plain.plain_time, nanoseconds(515));
  EXPECT_EQ(plain.recomputed, 0);
}

TEST_F(GraphSimulator, CountsReplaysAndWhatIsDropped) {
  op(kF).recompute_time = nanoseconds(7);
  const auto replayed = simulate({run(kF), run(kG), drop(kA), run(kLoss), drop(kB), run(kF),
                                  run(kBackG), drop(kA), drop(kL), run(kBackF)});
  EXPECT_TRUE(replayed.valid());
  EXPECT_THAT(live(replayed), ElementsAre(1011, 1031, 1023, 1013, 1053, 1121));
  EXPECT_EQ(replayed.timeline[3].action, 5);
  EXPECT_EQ(replayed.time, nanoseconds(522));
  EXPECT_EQ(replayed.plain_time, nanoseconds(515));
  EXPECT_EQ(replayed.recomputed, 1);
}

TEST_F(GraphSimulator, AddsTheWorkspaceOfTheOpThatRuns) {
  op(kG).workspace = Bytes(500);
  const auto plain = simulate({run(kF), run(kG), run(kLoss), run(kBackG), run(kBackF)});
  EXPECT_THAT(live(plain), ElementsAre(1011, 1531, 1033, 1073, 1153));
  EXPECT_EQ(plain.peak_action, 1);
}

TEST_F(GraphSimulator, HoldsASecondCopyOfWhatAReplayMakesAgain) {
  const auto twice = simulate({run(kF), run(kF), run(kG), run(kLoss), run(kBackG), run(kBackF)});
  EXPECT_THAT(live(twice), ElementsAre(1011, 1021, 1031, 1033, 1073, 1153));
}

TEST_F(GraphSimulator, CountsAReusedStorageOnceOnTheFirstRun) {
  op(kG).reuses = {{kA, kB}};
  EXPECT_EQ(fault({run(kF), run(kG), run(kLoss), run(kBackG)}),
            "3: op 4 (op_4) reads value 10, which is not resident");
  const auto simulation =
      simulate({run(kF), run(kG), run(kLoss), run(kF), run(kG), run(kBackG), run(kBackF)});
  EXPECT_TRUE(simulation.valid());
  // The second run of G leaves A and writes a second B.
  EXPECT_THAT(live(simulation), ElementsAre(1011, 1021, 1023, 1033, 1053, 1073, 1153));
}

TEST_F(GraphSimulator, DropsAHeldValueOnceItsHolderHasRun) {
  value(kA).held_until = kLoss;
  const auto held =
      simulate({run(kF), run(kG), drop(kA), run(kLoss), run(kF), run(kBackG), run(kBackF)});
  EXPECT_TRUE(held.valid());
  EXPECT_THAT(live(held), ElementsAre(1011, 1031, 1033, 1033, 1073, 1153));
  EXPECT_EQ(fault({run(kF), run(kG), drop(kA), run(kLoss), run(kBackG)}),
            "4: op 4 (op_4) reads value 10, which is not resident");
  // Until then it can be read.
  EXPECT_EQ(fault({run(kF), drop(kA), run(kG), run(kLoss), run(kF), run(kBackG), run(kBackF)}),
            "none");
  // Afterwards a drop is a drop.
  EXPECT_EQ(fault({run(kF), run(kG), run(kLoss), drop(kA), run(kBackG)}),
            "4: op 4 (op_4) reads value 10, which is not resident");
}

TEST_F(GraphSimulator, ForgetsAHeldDropWhenTheValueIsMadeAgain) {
  value(kA).held_until = kLoss;
  EXPECT_EQ(fault({run(kF), run(kG), drop(kA), run(kF), run(kLoss), run(kBackG), run(kBackF)}),
            "none");
}

TEST_F(GraphSimulator, FindsAPeakOfInputsBeforeTheFirstAction) {
  value(kX).bytes = Bytes(5000);
  const auto dropped = simulate({run(kF), drop(kX)});
  EXPECT_EQ(dropped.peak_action, 0);
  EXPECT_EQ(dropped.peak, Bytes(6010));
  const auto at_once = simulate({drop(kX)});
  EXPECT_EQ(at_once.peak_action, -1);
  EXPECT_EQ(at_once.peak, Bytes(6000));
}

TEST_F(GraphSimulator, NamesTheFirstBrokenRule) {
  EXPECT_EQ(fault({run(OpId{9})}), "0: there is no op 9");
  EXPECT_EQ(fault({drop(ValueId{9})}), "0: there is no value 9");
  EXPECT_EQ(fault({drop(kA)}), "0: value 10 is not resident");
  EXPECT_EQ(fault({run(kF), drop(kA), drop(kA)}), "2: value 10 is not resident");
  EXPECT_EQ(fault({run(kG)}), "0: op 2 (op_2) reads value 10, which is not resident");
  EXPECT_EQ(fault({run(kF), drop(kX), run(kF)}),
            "2: op 1 (op_1) reads value 0, which is not resident");
  EXPECT_EQ(fault({run(kF), run(kG), run(kLoss), run(kBackG), run(kBackG)}),
            "4: op 4 (op_4) is of backward and may not run twice");
  op(kF).recompute = Recompute::kNever;
  EXPECT_EQ(fault({run(kF), run(kF)}),
            "1: op 1 (op_1) may not run twice: its recompute is \"never\"");
}

TEST_F(GraphSimulator, KeepsFirstRunsInTheOrderOfTheGraph) {
  add(OpId{6}, Phase::kBackward, {}, {});
  EXPECT_EQ(fault({run(kF), run(OpId{6}), run(kG)}),
            "2: op 2 (op_2) first runs after op 6 (op_6), which the graph has later");
}

TEST_F(GraphSimulator, WantsEveryOpToRun) {
  EXPECT_EQ(fault({}), "0: 5 of 5 ops never ran, the first is op 1 (op_1)");
  EXPECT_EQ(fault({run(kF), drop(kX)}), "2: 4 of 5 ops never ran, the first is op 2 (op_2)");
}

TEST_F(GraphSimulator, TellsOfTheActionsBeforeAFault) {
  const auto simulation = simulate({run(kF), run(kF), drop(kB), run(kG)});
  EXPECT_FALSE(simulation.valid());
  EXPECT_EQ(simulation.peak, Bytes(1021));
  EXPECT_EQ(simulation.time, nanoseconds(202));
  EXPECT_EQ(simulation.recomputed, 1);
  EXPECT_EQ(simulation.timeline.size(), 2U);
}

TEST_F(GraphSimulator, RefusesTimesThatDoNotAddUp) {
  op(kF).recompute_time = nanoseconds(INT64_MAX - 500);
  EXPECT_EQ(fault({run(kF), run(kF), run(kF), run(kG)}),
            "2: the times add up to more than 2^63 - 1 ns");
}

TEST_F(GraphSimulator, RefusesAGraphThatCannotBe) {
  value(kGa).id = kA;
  EXPECT_EQ(
      complaint_of([this] { simulate({}); }),
      "simulate: op graph \"net\": values[5].id: expected an id of its own, found 10, the id of "
      "values[1] too");
  value(kA).bytes = Bytes(-1);
  EXPECT_EQ(
      complaint_of([this] { simulate({}); }),
      "simulate: op graph \"net\": values[1].bytes: expected a whole number from 0 to 2^63 - 1, "
      "found -1");
}

}  // namespace
}  // namespace remat

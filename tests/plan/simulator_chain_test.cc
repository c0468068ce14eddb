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

// Three stages; activations have 1, 10, 100 and 1000 bytes, gradients 2, 20, 200 and 2000.
class ChainSimulator : public ::testing::Test {
 protected:
  ChainSimulator() {
    chain_.name = "net";
    chain_.fixed = Bytes(100'000);
    chain_.input = Bytes(1);
    chain_.input_gradient = Bytes(2);
    for (const int bytes : {10, 100, 1000}) {
      Stage stage;
      stage.name = "s" + std::to_string(bytes);
      stage.output = Bytes(bytes);
      stage.output_gradient = Bytes(2 * bytes);
      stage.forward_time = nanoseconds(5);
      stage.options = {{"all", Bytes(5 * bytes), nanoseconds(7), Bytes(), nanoseconds(11), Bytes()},
                       {"few", Bytes(bytes), nanoseconds(8), Bytes(), nanoseconds(9), Bytes()}};
      chain_.stages.push_back(stage);
    }
  }

  Simulation simulate(std::vector<ChainAction> actions) const {
    ChainPlan plan;
    plan.actions = std::move(actions);
    return remat::simulate(chain_, plan);
  }

  std::string fault(std::vector<ChainAction> actions) const {
    const auto simulation = simulate(std::move(actions));
    if (simulation.valid()) return "none";
    return std::to_string(simulation.fault->action) + ": " + simulation.fault->what;
  }

  // Above the fixed bytes.
  std::vector<std::int64_t> live(const Simulation& simulation) const {
    std::vector<std::int64_t> live;
    for (const auto& moment : simulation.timeline) {
      live.push_back((moment.live - chain_.fixed).count());
    }
    return live;
  }

  static ChainAction checkpoint(int stage) { return CheckpointStage{stage}; }
  static ChainAction pass(int stage) { return PassStage{stage}; }
  static ChainAction save(int stage, int option = 0) { return SaveStage{stage, option}; }
  static ChainAction backward(int stage) { return BackwardStage{stage}; }

  Chain chain_;
};

TEST_F(ChainSimulator, AddsUpThePlainStep) {
  const auto plain = simulate({save(0), save(1), save(2), backward(2), backward(1), backward(0)});
  EXPECT_TRUE(plain.valid());
  // Backward 2: 1 + 50 + 500 + 5000 and gradients of 2000 and 200.
  EXPECT_THAT(live(plain), ElementsAre(51, 551, 5551, 7751, 771, 73));
  EXPECT_EQ(plain.peak, Bytes(107'751));
  EXPECT_EQ(plain.peak_action, 3);
  EXPECT_EQ(plain.time, nanoseconds(54));
  EXPECT_EQ(plain.recomputed, 0);
}

TEST_F(ChainSimulator, TakesThePlainTimeFromTheFasterOption) {
  EXPECT_EQ(simulate({}).plain_time, nanoseconds(51));
}

TEST_F(ChainSimulator, FreesTheInputAfterAPassAndKeepsItAtACheckpoint) {
  const auto simulation = simulate({checkpoint(0), pass(1), save(2, 1), backward(2), checkpoint(0),
                                    save(1), backward(1), save(0), backward(0)});
  EXPECT_TRUE(simulation.valid());
  // Backward 2 drops activation 2: the gradient stays. The second checkpoint of stage 0 makes
  // activation 1 again.
  EXPECT_THAT(live(simulation), ElementsAre(11, 111, 1101, 3301, 211, 711, 731, 71, 73));
  EXPECT_EQ(simulation.recomputed, 3);
  EXPECT_EQ(simulation.time, nanoseconds(5 + 5 + 8 + 9 + 5 + 7 + 11 + 7 + 11));
}

TEST_F(ChainSimulator, LeavesAnInputInsideASavedStageAtAPass) {
  EXPECT_EQ(fault({save(0), pass(1), save(1), save(2), backward(2), backward(1), backward(0)}),
            "none");
}

TEST_F(ChainSimulator, CountsAnActivationOnceThatASavedStageHolds) {
  // After the save activation 1 is in the 50 bytes; checkpoint 0 then adds nothing.
  const auto simulation = simulate({checkpoint(0), save(0), checkpoint(0), checkpoint(1)});
  EXPECT_THAT(live(simulation), ElementsAre(11, 61, 51, 151));
}

TEST_F(ChainSimulator, AddsWorkspaces) {
  chain_.stages[0].forward_workspace = Bytes(1000);
  chain_.stages[1].options[0].forward_workspace = Bytes(2000);
  chain_.stages[1].options[0].backward_workspace = Bytes(3000);
  const auto simulation =
      simulate({checkpoint(0), save(0), save(1), save(2), backward(2), backward(1)});
  EXPECT_THAT(live(simulation), ElementsAre(1011, 61, 2551, 5551, 7751, 3771));
}

TEST_F(ChainSimulator, NamesTheFirstBrokenRule) {
  EXPECT_EQ(fault({save(3)}), "0: there is no stage 3");
  EXPECT_EQ(fault({backward(-1)}), "0: there is no stage -1");
  EXPECT_EQ(fault({checkpoint(1)}),
            "0: checkpoint of stage 1 (s100) needs its input, which is not resident");
  EXPECT_EQ(fault({pass(0), pass(0)}),
            "1: pass of stage 0 (s10) needs its input, which is not resident");
  EXPECT_EQ(fault({save(2)}), "0: save of stage 2 (s1000) needs its input, which is not resident");
  EXPECT_EQ(fault({save(0, 2)}), "0: stage 0 (s10) has no option 2: it has 2");
  EXPECT_EQ(fault({save(0, -1)}), "0: stage 0 (s10) has no option -1: it has 2");
  EXPECT_EQ(fault({save(0), save(0, 1)}), "1: stage 0 (s10) is saved already");
  EXPECT_EQ(fault({backward(1)}),
            "0: backward of stage 1 (s100) is out of turn: stage 2 (s1000) is next");
  EXPECT_EQ(fault({backward(2)}), "0: backward of stage 2 (s1000) needs it saved");
  EXPECT_EQ(fault({pass(0), checkpoint(1), save(2), pass(1), backward(2), backward(1)}),
            "5: backward of stage 1 (s100) needs it saved");
  EXPECT_EQ(fault({checkpoint(0), checkpoint(1), save(2), pass(2), backward(2)}),
            "4: backward of stage 2 (s1000) needs its input, which is not resident");
}

TEST_F(ChainSimulator, WantsEveryBackward) {
  EXPECT_EQ(fault({}), "0: the plan ends before backward of stage 2 (s1000)");
  EXPECT_EQ(fault({save(0), save(1), save(2), backward(2)}),
            "4: the plan ends before backward of stage 1 (s100)");
  EXPECT_EQ(fault({save(0), save(1), save(2), backward(2), backward(1), backward(0), backward(0)}),
            "6: backward of stage 0 (s10) is out of turn: none is left");
}

TEST_F(ChainSimulator, RefusesTimesThatDoNotAddUp) {
  chain_.stages[0].forward_time = nanoseconds(INT64_MAX - 3);
  EXPECT_EQ(fault({checkpoint(0), checkpoint(0)}), "1: the times add up to more than 2^63 - 1 ns");
}

TEST_F(ChainSimulator, RefusesAChainThatCannotBe) {
  chain_.stages[1].options.clear();
  EXPECT_EQ(complaint_of([this] { simulate({}); }),
            "simulate: chain \"net\": stages[1].options: expected at least one option, found none");
}

}  // namespace
}  // namespace remat

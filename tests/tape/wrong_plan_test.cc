// Plans from files that are for the step which follows them, and yet not what it needs: they cost time, never a
// gradient. (Rule T9)
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/memory.h>
#include <remat/simulator.h>

#include "tape/plan_file.h"
#include "tests/testing/random_op_graph.h"
#include "tests/testing/temporary_file.h"

namespace remat {
namespace {

using testing::content_of;
using testing::RandomChoices;
using testing::TemporaryFile;

constexpr std::int64_t kEffort = 20'000;
constexpr int kSteps = 3;

/// Linear layers with noise of zeros and ones, which has a packed form, views, and operators in place that are
/// one with their makers in the graph; the bits of each step's loss and gradients. The noise is drawn by an
/// operator that is slow by far, so that packing is cheaper however slow that is, as under a sanitizer.
struct Training {
  Training() {
    torch::manual_seed(1);
    for (int i = 0; i < 6; ++i) layers.emplace_back(torch::nn::Linear(64, 64));
    input = torch::randn({96, 64});
  }

  void step() {
    at::Tensor x = input;
    for (auto& layer : layers) {
      x = layer(x).mul_(1.5).tanh().t().contiguous().t() * torch::binomial(ones, kept);
    }
    const at::Tensor loss = x.square().mean();
    std::vector<at::Tensor> parameters;
    for (auto& layer : layers) parameters.push_back(layer->weight);
    note(loss.detach());
    for (const auto& gradient : torch::autograd::grad({loss}, parameters)) note(gradient);
  }

  void note(const at::Tensor& tensor) {
    const at::Tensor plain = tensor.contiguous();
    bits.append(static_cast<const char*>(plain.data_ptr()), plain.nbytes());
  }

  std::vector<torch::nn::Linear> layers;
  at::Tensor input;
  at::Tensor ones = torch::ones({}).expand({96, 64});
  at::Tensor kept = torch::full({}, 0.9).expand({96, 64});
  std::string bits;
};

class WrongPlan : public ::testing::Test {
 protected:
  WrongPlan() {
    use_huge_page_allocator();  // before the first tensor: all are counted
    Training plain;
    const Bytes before = *live_cpu_bytes();
    MemoryTracker tracker;
    for (int i = 0; i < kSteps; ++i) plain.step();
    memory_ = before + Bytes(tracker.peak_bytes().count() * 3 / 4);
    expected_ = plain.bits;
    Budget budget({memory_, kEffort});
    Training training;
    for (int i = 0; i < kSteps; ++i) {
      const Step step(budget);
      training.step();
    }
    EXPECT_TRUE(budget.report().planned) << budget.report();
    EXPECT_GT(budget.report().replays, 0);
    EXPECT_GT(budget.report().unpacks, 0) << "packed forms are among what is wrong";
    budget.save(file_.path());
    text_ = content_of(file_.path());
  }

  tape::KnownSteps known() const { return tape::read_known_steps(text_, "saved"); }

  /// Trains by what is known; the report of the first step.
  BudgetReport train(const tape::KnownSteps& known) {
    std::ofstream(file_.path(), std::ios::binary) << tape::to_json(known);
    Budget budget({memory_, kEffort});
    budget.load(file_.path());
    Training training;
    BudgetReport first;
    for (int i = 0; i < kSteps; ++i) {
      {
        const Step step(budget);
        training.step();
      }
      if (i == 0) first = budget.report();
    }
    EXPECT_EQ(training.bits, expected_);
    return first;
  }

  Bytes memory_;
  std::string expected_, text_;
  TemporaryFile file_{""};
};

/// One that is there, or none.
template <class Number>
void change_one(std::vector<Number>& numbers, std::size_t count, RandomChoices& choices) {
  const auto place = choices.below(static_cast<std::int64_t>(numbers.size()));
  numbers[static_cast<std::size_t>(place)] =
      static_cast<Number>(choices.below(static_cast<std::int64_t>(count) + 1) - 1);
}

TEST_F(WrongPlan, IsFollowedWhereItIsRight) {
  const BudgetReport first = train(known());
  EXPECT_TRUE(first.planned);
  EXPECT_EQ(first.evictions, 0);
}

// Breaks if: what a file says of events and values is believed.
TEST_F(WrongPlan, WithOtherEventsAndValuesGivesTheSameGradients) {
  RandomChoices choices(7);
  int followed = 0;
  for (int i = 0; i < 150; ++i) {
    tape::KnownSteps wrong = known();
    tape::StepGraph& step = wrong.plans[0]->graph;
    const auto values = static_cast<std::size_t>(step.values);
    for (auto left = choices.between(1, 4); left > 0; --left) {
      const auto what = choices.below(4);
      if (what == 0) change_one(step.event_of_op, step.signatures.size(), choices);
      if (what == 1) change_one(step.value_of, values, choices);
      if (what == 2) change_one(step.packed_value, values, choices);
      if (what == 3)
        step.last_asked = static_cast<std::int32_t>(choices.below(step.last_asked + 1));
    }
    SCOPED_TRACE(tape::to_json(wrong));
    if (train(wrong).planned) ++followed;
    if (HasFailure()) return;
  }
  EXPECT_GT(followed, 50) << "others look like plans of another step";
}

// Breaks if: a plan that replays at other moments than the planner would is not followed safely.
TEST_F(WrongPlan, WithOtherActionsGivesTheSameGradients) {
  RandomChoices choices(8);
  int valid = 0;
  for (int i = 0; i < 300 && valid < 60; ++i) {
    tape::KnownSteps wrong = known();
    Plan& plan = wrong.plans[0]->plan;
    plan.actions = testing::random_plan(wrong.plans[0]->graph.graph, choices).actions;
    const Simulation simulation = simulate(wrong.plans[0]->graph.graph, plan);
    if (!simulation.valid()) continue;
    ++valid;
    plan.predicted_peak = simulation.peak;
    plan.predicted_time = simulation.time;
    SCOPED_TRACE(tape::to_json(wrong));
    train(wrong);
    if (HasFailure()) return;
  }
  EXPECT_EQ(valid, 60);
}

}  // namespace
}  // namespace remat

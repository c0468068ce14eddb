// Plans that go from one budget to another through a file.
#include "tape/plan_file.h"

#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/memory.h>

#include "tests/testing/error_text.h"
#include "tests/testing/temporary_file.h"

namespace remat {
namespace {

using ::testing::AllOf;
using testing::complaint_of;
using testing::content_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::replaced;
using ::testing::SizeIs;
using testing::TemporaryFile;

constexpr std::int64_t kEffort = 100'000;

using Bits = std::vector<std::vector<char>>;

/// Out of sight of the allocator that is being watched.
std::vector<char> bits_of(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().contiguous();
  std::vector<char> bits(plain.nbytes());
  if (!bits.empty()) std::memcpy(bits.data(), plain.data_ptr(), bits.size());
  return bits;
}

/// Of the Error that `call` throws.
std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

/// Layers with dropout; the bits of each step's gradients and of what AdamW makes of them.
struct Training {
  Training() {
    torch::manual_seed(1);
    for (int i = 0; i < 6; ++i) {
      net->push_back(torch::nn::Linear(64, 64));
      net->push_back(torch::nn::Tanh());
      net->push_back(torch::nn::Dropout(0.1));
    }
    optimizer = std::make_unique<torch::optim::AdamW>(net->parameters(), 1e-3);
  }

  void step(std::int64_t batch = 512) {
    net->forward(torch::randn({batch, 64})).square().mean().backward();
    for (const at::Tensor& parameter : net->parameters()) bits.push_back(bits_of(parameter.grad()));
    optimizer->step();
    for (const at::Tensor& parameter : net->parameters()) bits.push_back(bits_of(parameter));
    optimizer->zero_grad();
  }

  torch::nn::Sequential net;
  std::unique_ptr<torch::optim::AdamW> optimizer;
  Bits bits;
};

Bits plain_bits(int steps) {
  Training training;
  for (int i = 0; i < steps; ++i) training.step();
  return training.bits;
}

/// What the training takes beside its activations, and half of those.
Bytes half_the_activations() {
  Training training;
  training.step();
  const Bytes before = *live_cpu_bytes();
  MemoryTracker tracker;
  training.step();
  return before + Bytes(tracker.peak_bytes().count() / 2);
}

class PlanFile : public ::testing::Test {
 protected:
  PlanFile() {
    use_huge_page_allocator();
    memory_ = half_the_activations();
  }

  void train(Budget& budget, Training& training, std::vector<std::int64_t> batches) {
    planned_.clear();
    audited_.clear();
    for (const auto batch : batches) {
      {
        Step step(budget);
        training.step(batch);
      }
      planned_.push_back(budget.report().planned);
      audited_.push_back(budget.report().audited);
    }
  }

  /// A file with the plan for batches of `batch`.
  void save_plan_for(std::int64_t batch) {
    Budget budget({memory_, kEffort});
    Training training;
    train(budget, training, {batch, batch, batch});
    ASSERT_TRUE(budget.report().planned);
    budget.save(file_.path());
  }

  Bytes memory_;
  TemporaryFile file_{""};
  std::vector<bool> planned_, audited_;
};

// Breaks if: a loaded plan is not followed, or lets go of what cannot be made again.
TEST_F(PlanFile, IsFollowedFromTheFirstStepOn) {
  const Bits expected = plain_bits(4);
  save_plan_for(512);
  Budget budget({memory_, kEffort});
  budget.load(file_.path());
  Training training;
  train(budget, training, {512, 512, 512, 512});
  EXPECT_EQ(training.bits, expected);
  const BudgetReport report = budget.report();
  EXPECT_EQ(report.plans_made, 0);
  EXPECT_THAT(planned_, ElementsAre(true, true, true, true));
  EXPECT_THAT(audited_, ElementsAre(true, false, false, false)) << "it is proven as a new one is";
  EXPECT_GT(report.replays, 0);
  EXPECT_EQ(report.evictions, 0);
  EXPECT_LE(report.tracked_peak, memory_);
  EXPECT_NEAR(report.predicted_peak.count(), report.tracked_peak.count(), memory_.count() / 100);
  ASSERT_THAT(report.plans, SizeIs(1));
  EXPECT_EQ(report.plans[0].why, "loaded");
  EXPECT_EQ(report.plans[0].followed, 4);
}

TEST_F(PlanFile, IsWrittenAsItWasRead) {
  save_plan_for(512);
  const std::string text = content_of(file_.path());
  EXPECT_EQ(tape::to_json(tape::read_known_steps(text, "plans")), text);
}

// A plan that is due is not lost when training ends right after the step that it is for.
TEST_F(PlanFile, HasThePlanThatIsDue) {
  {
    Budget budget({memory_, kEffort});
    Training training;
    train(budget, training, {512, 512});
    EXPECT_EQ(budget.report().plans_made, 0);
    budget.save(file_.path());
    EXPECT_EQ(budget.report().plans_made, 1);
  }
  EXPECT_THAT(tape::read_known_steps(content_of(file_.path()), "plans").plans, SizeIs(1));
}

// Breaks if: plans for steps that do not come keep audits on for ever, or are followed unproven later.
TEST_F(PlanFile, WaitsForItsSteps) {
  save_plan_for(384);
  Budget budget({memory_, kEffort});
  budget.load(file_.path());
  Training training;
  train(budget, training, {512, 512, 512, 512, 384, 384, 384});
  EXPECT_THAT(planned_, ElementsAre(false, false, true, true, false, true, true));
  EXPECT_THAT(audited_, ElementsAre(true, true, true, false, false, true, false));
  EXPECT_EQ(budget.report().plans_made, 1);
}

TEST_F(PlanFile, IsNotFollowedWhereItDoesNotFit) {
  save_plan_for(512);
  const at::Tensor more = torch::zeros({memory_.count() / 8 / 4});
  Budget budget({memory_, kEffort});
  budget.load(file_.path());
  Training training;
  train(budget, training, {512, 512, 512, 512});
  EXPECT_THAT(planned_, ElementsAre(true, false, false, true))
      << "the first has no optimizer state yet";
  const BudgetReport report = budget.report();
  ASSERT_THAT(report.plans, SizeIs(2));
  EXPECT_EQ(report.plans[0].followed, 1);
  EXPECT_EQ(report.plans[1].why, "for steps of a new kind") << "it was not tried";
}

TEST_F(PlanFile, IsOnlyForTheBudgetThatItWasMadeFor) {
  save_plan_for(512);
  Budget budget({memory_ + Bytes(memory_.count() / 16), kEffort});
  budget.load(file_.path());
  Training training;
  train(budget, training, {512, 512, 512});
  EXPECT_THAT(planned_, ElementsAre(false, false, true));
  EXPECT_EQ(budget.report().plans_made, 1);
}

// Breaks if: what an audit found is found again by each budget, at the price of a step.
TEST_F(PlanFile, HasWhatCannotBeMadeAgain) {
  const at::Tensor x = torch::full({1000}, 0.5, torch::requires_grad());
  const auto step = [&] {
    at::Tensor h = x.sin().clone();
    h.data_ptr<float>()[0] = 100;
    const at::Tensor y = (h * h).exp();
    torch::autograd::grad({y.sum()}, {x});
  };
  const auto saved = [&](Budget& budget) {
    Step open(budget);
    step();
  };
  {
    Budget budget({memory_, kEffort});
    saved(budget);
    ASSERT_THAT(budget.report().pinned, SizeIs(1));
    budget.save(file_.path());
  }
  Budget budget({memory_, kEffort});
  budget.load(file_.path());
  saved(budget);
  ASSERT_THAT(budget.report().pinned, SizeIs(1));
  EXPECT_THAT(budget.report().pinned[0], HasSubstr("aten::clone"));
  saved(budget);
  EXPECT_TRUE(budget.report().planned) << "the first step is one to plan for";
  EXPECT_EQ(budget.report().plans_made, 1);
}

TEST_F(PlanFile, IsLoadedBeforeTheFirstStep) {
  save_plan_for(512);
  Budget budget({memory_, kEffort});
  Training training;
  train(budget, training, {512});
  EXPECT_THAT(message_of([&] { budget.load(file_.path()); }),
              AllOf(HasSubstr("remat::Budget::load " + file_.path()),
                    HasSubstr("1 steps have been taken; load plans before the first one")));
}

TEST_F(PlanFile, SaysWhyItCannotBeReadOrWritten) {
  Budget budget({memory_, kEffort});
  EXPECT_THAT(complaint_of([&] { budget.load("/no/such/file"); }),
              HasSubstr("remat::Budget::load /no/such/file: cannot be read: No such file"));
  EXPECT_THAT(message_of([&] { budget.save("/no/such/folder/plans"); }),
              HasSubstr("remat::Budget::save /no/such/folder/plans: cannot be written"));
}

TEST_F(PlanFile, IsRefusedWhereItIsNotWhole) {
  save_plan_for(512);
  const std::string text = content_of(file_.path());
  for (std::size_t part = 0; part < 50; ++part) {
    const std::string torn = text.substr(0, text.size() * part / 50);
    EXPECT_NE(complaint_of([&] { tape::read_known_steps(torn, "torn"); }), "") << part;
  }
  tape::read_known_steps(text, "whole");
}

TEST_F(PlanFile, IsRefusedWhereItCannotBe) {
  save_plan_for(512);
  const std::string text = content_of(file_.path());
  const auto complaint = [&](const std::string& from, const std::string& to) {
    return complaint_of([&] { tape::read_known_steps(replaced(text, from, to), "plans"); });
  };
  EXPECT_THAT(complaint("remat.plans/1", "remat.plans/2"),
              HasSubstr(R"(plans: format: expected "remat.plans/1")"));
  EXPECT_THAT(complaint("\"libtorch\": \"", "\"libtorch\": \"9"),
              AllOf(HasSubstr("plans: libtorch: expected"), HasSubstr("which is in use")));
  EXPECT_THAT(complaint("\"events\": [[0, 0]", "\"events\": [[0, 999999]"),
              HasSubstr("plans: plans[0].events[0][1]: expected one of"));
  EXPECT_THAT(complaint("\"events\": [[0, 0]", "\"events\": [[0]"),
              HasSubstr("plans[0].events[0]: expected a pair of numbers"));
  EXPECT_THAT(complaint("\"signatures\": [\"", "\"signatures\": [\"0"),
              HasSubstr("plans[0].signatures[0]: expected a signature, 16 hexadecimal digits"));
  EXPECT_THAT(complaint("[\"run\", 1]", "[\"run\", 2]"),
              HasSubstr("plans[0].plan: expected a plan for this graph; action"));
  EXPECT_THAT(complaint("\"predicted_time_ns\": ", "\"predicted_time_ns\": 1"),
              HasSubstr("plans[0].plan.predicted_time_ns: expected "));
  EXPECT_THAT(complaint("\"plain_time_ns\": ", "\"plain_time_ns\": 1"),
              HasSubstr("plans[0].plan.plain_time_ns: expected "));
  EXPECT_THAT(complaint("\"asked_bytes\": ", "\"asked_bytes\": 0, \"unknown\": "),
              HasSubstr("plans[0].plan.budget_bytes: expected no more than asked_bytes"));
  EXPECT_THAT(complaint("\"values\": ", "\"values\": 99999999"),
              HasSubstr("plans[0].values: expected no more values than 16777216 less"));
  EXPECT_THAT(complaint("{\"id\": 0, \"name\"", "{\"id\": 123456, \"name\""),
              HasSubstr("plans[0].graph"));
}

// Breaks if: what many plans ask for together is not bounded.
TEST_F(PlanFile, IsRefusedWhereItsPlansTakeTooMuchMemory) {
  save_plan_for(512);
  tape::KnownSteps known = tape::read_known_steps(content_of(file_.path()), "plans");
  known.plans[0]->graph.values = 1 << 23;
  known.plans.push_back(known.plans[0]);
  EXPECT_THAT(tape::read_known_steps(tape::to_json(known), "plans").plans, SizeIs(2));
  known.plans.push_back(known.plans[0]);
  EXPECT_THAT(complaint_of([&] { tape::read_known_steps(tape::to_json(known), "plans"); }),
              HasSubstr("plans: plans[2].values: expected no more values than"));
}

// Breaks if: the budget for which a plan is made anew can be less than nothing.
TEST_F(PlanFile, CanBeReadAfterAStepThatNeededFarMoreThanThePlan) {
  const at::Tensor x = torch::randn({1 << 16}, torch::requires_grad());
  const auto step = [&](Budget& budget, std::int64_t repeats) {
    const Step open(budget);
    at::Tensor h = x;
    for (int i = 0; i < 8; ++i) h = h.sin();
    const at::Tensor longer = h.repeat_interleave(torch::full({1 << 16}, repeats));
    torch::autograd::grad({longer.sum()}, {x});
  };
  Budget budget({*live_cpu_bytes() + Bytes(4 << 20), kEffort});
  for (int i = 0; i < 3; ++i) step(budget, 1);
  ASSERT_TRUE(budget.report().planned);
  EXPECT_THROW(step(budget, 4096), BudgetError);
  budget.save(file_.path());
  const auto known = tape::read_known_steps(content_of(file_.path()), "plans");
  EXPECT_THAT(known.plans, SizeIs(1));
}

TEST(PinnedOperators, AreEachThereOnce) {
  tape::KnownSteps known;
  known.pinned.emplace(1, "why");
  known.pinned.emplace(2, "why");
  const std::string text = tape::to_json(known);
  EXPECT_THAT(tape::read_known_steps(text, "plans").pinned, SizeIs(2));
  EXPECT_THAT(complaint_of([&] {
                tape::read_known_steps(replaced(text, "0000002\"", "0000001\""), "plans");
              }),
              HasSubstr("plans: pinned[1].signature: expected each signature once"));
}

}  // namespace
}  // namespace remat

// Budgets of another device's memory than the CPU's. (Rule T20)
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/error.h>
#include <remat/memory.h>

#include "tests/tape/other_device/host_device.h"
#include "tests/testing/temporary_file.h"
#include "torch_bridge/device_ledger.h"

namespace remat {
namespace {

using testing::kHostDevice;

constexpr std::int64_t kEffort = 20'000;

torch_bridge::MemoryLedger& ledger() { return torch_bridge::ledger_of(kHostDevice, "test"); }
Bytes live() { return Bytes(ledger().live_bytes()); }

/// Layers of a perceptron, on the device.
struct Training {
  explicit Training(c10::Device where = kHostDevice) : device(where) {
    torch::manual_seed(3);
    for (int i = 0; i < 8; ++i) {
      parameters.push_back(on_device(torch::randn({32, 32}) / 6));
      parameters.push_back(on_device(torch::randn({32})));
    }
    input = torch::randn({256, 32}).to(device);
  }

  at::Tensor forward() const {
    at::Tensor x = input;
    for (std::size_t i = 0; i < parameters.size(); i += 2) {
      x = at::gelu(at::linear(x, parameters[i], parameters[i + 1]));
    }
    return x;
  }
  at::Tensor loss() const { return forward().square().mean(); }
  void step() const {
    step([&] { return loss(); });
  }
  /// With gradients from before, as between the steps of a training.
  template <class Loss>
  void step(Loss&& loss_of) const {
    const at::Tensor value = loss_of();
    clear_gradients();
    value.backward();
  }
  void clear_gradients() const {
    const torch::NoGradGuard no_grad;
    for (const at::Tensor& parameter : parameters) {
      if (parameter.grad().defined()) parameter.grad().zero_();
    }
  }

  /// Copies, on the CPU.
  std::vector<at::Tensor> gradients() const {
    std::vector<at::Tensor> found;
    for (const at::Tensor& parameter : parameters) found.push_back(parameter.grad().cpu());
    return found;
  }

  at::Tensor on_device(const at::Tensor& value) const { return value.to(device).requires_grad_(); }

  c10::Device device;
  std::vector<at::Tensor> parameters;
  at::Tensor input;
};

void expect_equal(const std::vector<at::Tensor>& found, const std::vector<at::Tensor>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_TRUE(torch::equal(found[i], expected[i])) << "gradient " << i;
  }
}

/// What a step adds to the device's memory at most.
Bytes growth_of(const std::function<void()>& step) {
  const torch_bridge::LedgerReader reader(ledger());
  step();
  return reader.peak();
}

/// The message of what `call` throws.
template <class Thrown, class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Thrown& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

/// Whether values are kept because of `why`.
::testing::AssertionResult is_refused(const BudgetReport& report, const std::string& why) {
  for (const RefusedValues& values : report.refused) {
    if (values.why.find(why) != std::string::npos) return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << report;
}

class OtherDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::has_another_accelerator()) {
      GTEST_SKIP()
          << "this LibTorch asks CUDA, or another accelerator, for the streams of backward";
    }
    ledger();  // counts from here on
  }
};

TEST_F(OtherDevice, TrainsWithinTheBudgetOfItsMemory) {
  Training training;
  training.step();
  const auto expected = training.gradients();
  const Bytes fixed = live();
  const Bytes plain = growth_of([&] { training.step(); });
  const Bytes memory = fixed + Bytes(plain.count() * 6 / 10);
  BudgetOptions options{memory, kEffort};
  options.device = kHostDevice;
  Budget budget(options);
  for (int i = 0; i < 6; ++i) {
    const Bytes grown = growth_of([&] {
      const Step step(budget);
      training.step();
    });
    EXPECT_LE(fixed + grown, memory) << "step " << i;
    expect_equal(training.gradients(), expected);
    EXPECT_GT(budget.report().replays, 0) << "step " << i;
  }
  EXPECT_TRUE(budget.report().planned);
  EXPECT_LE(budget.report().tracked_peak, memory);
  EXPECT_EQ(budget.report().fixed, fixed);
  EXPECT_EQ(budget.report().evictions, 0) << "the plan holds";
}

// Breaks if: the tape of a device enforces something on the CPU, or looks after its tensors.
TEST_F(OtherDevice, LeavesTheCpuAlone) {
  Training training;
  const at::Tensor x = torch::ones({2 << 20}, torch::requires_grad());
  BudgetOptions options{live() + Bytes::parse("4MiB"), kEffort};
  options.device = kHostDevice;
  Budget budget(options);
  const Bytes before = *live_cpu_bytes();
  const Step step(budget);
  const at::Tensor y = x.exp().sin().exp().sin();
  EXPECT_EQ(*live_cpu_bytes() - before, Bytes::parse("24MiB"))
      << "all is kept: two results of exp, the last sin";
  y.sum().backward();
  training.step();
  EXPECT_TRUE(x.grad().defined());
}

TEST_F(OtherDevice, RunsOutWithAClearError) {
  Training training;
  BudgetOptions options{live() + Bytes(20'000), kEffort};
  options.device = kHostDevice;
  Budget budget(options);
  const std::string error = message_of<BudgetError>([&] {
    const Step step(budget);
    training.step();
  });
  EXPECT_NE(error.find("Give the budget at least"), std::string::npos) << error;
  for (const at::Tensor& parameter : training.parameters) {
    EXPECT_FALSE(parameter.grad().defined());
  }
}

TEST_F(OtherDevice, HasABudgetBesideThatOfTheCpu) {
  BudgetOptions options{Bytes::parse("1GiB")};
  options.device = kHostDevice;
  const Budget cpu({Bytes::parse("1GiB")});
  const Budget device(options);
  EXPECT_NE(message_of<Error>([&] { const Budget second(options); }).find("already"),
            std::string::npos);
}

TEST_F(OtherDevice, WithoutANumberIsTheCurrentOne) {
  BudgetOptions options{Bytes::parse("1GiB")};
  options.device = c10::Device(kHostDevice.type());
  const Budget budget(options);
  options.device = kHostDevice;
  EXPECT_THROW(Budget second(options), Error);
}

TEST_F(OtherDevice, ThatIsNotThereIsAnError) {
  BudgetOptions options{Bytes::parse("1GiB")};
  options.device = c10::Device(c10::kCUDA, 113);
  EXPECT_NE(message_of<Error>([&] { const Budget budget(options); }).find("cuda:113"),
            std::string::npos);
}

// Breaks if: what is drawn on a device is made again although its generator cannot be put back.
TEST_F(OtherDevice, KeepsWhatItCannotDrawAgain) {
  Training training;
  const auto loss = [&] {
    torch::manual_seed(5);
    const at::Tensor x = training.forward();
    return (x.sin() * torch::bernoulli(x.detach().sigmoid())).square().mean();
  };
  training.step(loss);
  const auto expected = training.gradients();
  const Bytes plain = growth_of([&] { training.step(loss); });
  BudgetOptions options{live() + Bytes(plain.count() * 7 / 10), kEffort};
  options.device = kHostDevice;
  Budget budget(options);
  for (int i = 0; i < 5; ++i) {
    {
      const Step step(budget);
      training.step(loss);
    }
    expect_equal(training.gradients(), expected);
  }
  EXPECT_GT(budget.report().replays, 0);
  EXPECT_TRUE(is_refused(budget.report(), "draws from a generator that cannot be put back"));
}

// Breaks if: a plan for one kind of device is followed on another, whose times are others.
TEST_F(OtherDevice, HasPlansOfItsOwn) {
  const testing::TemporaryFile file("");
  BudgetOptions options{Bytes::parse("1GiB"), kEffort};
  options.device = kHostDevice;
  {
    const Training training;
    Budget budget(options);
    for (int i = 0; i < 3; ++i) {
      const Step step(budget);
      training.step();
    }
    ASSERT_TRUE(budget.report().planned);
    budget.save(file.path());
  }
  const auto follows_it = [&](c10::Device device) {
    const Training training(device);
    options.device = device;
    Budget budget(options);
    budget.load(file.path());
    {
      const Step step(budget);
      training.step();
    }
    return budget.report().planned;
  };
  EXPECT_TRUE(follows_it(kHostDevice));
  EXPECT_FALSE(follows_it(c10::kCPU));
}

class Streams : public OtherDevice {};

// Breaks if: what is made again is queued where nobody waits for it.
TEST_F(Streams, WhatIsMadeAgainIsQueuedWhereTheStepBegan) {
  Training training;
  training.step();
  const auto expected = training.gradients();
  const Bytes plain = growth_of([&] { training.step(); });
  BudgetOptions options{live() + Bytes(plain.count() * 6 / 10), kEffort};
  options.device = kHostDevice;
  Budget budget(options);
  testing::operators_on_stream(0);
  training.loss().backward();
  // Of such a device LibTorch runs all nodes on the default stream: those of the forward and of backward.
  const std::int64_t all = testing::operators_on_stream(0);
  training.clear_gradients();
  {
    const testing::OnHostStream seven(7);
    const Step step(budget);
    testing::operators_on_stream(7);
    const at::Tensor loss = training.loss();
    const std::int64_t of_forward = testing::operators_on_stream(7);
    testing::operators_on_stream(0);
    const auto before = testing::stream_counts();
    loss.backward();
    EXPECT_LE(testing::operators_on_stream(0), all - of_forward) << "no more than without replays";
    EXPECT_GT(testing::operators_on_stream(7), 0);
    const auto after = testing::stream_counts();
    EXPECT_GT(after.blocks, before.blocks);
    EXPECT_GT(after.handed_over, before.handed_over);
  }
  expect_equal(training.gradients(), expected);
  EXPECT_GT(budget.report().replays, 0);
}

/// Of a budget of the device that is never short.
BudgetOptions ample() {
  BudgetOptions options{live() + Bytes::parse("1GiB"), kEffort};
  options.device = kHostDevice;
  return options;
}

// Breaks if: what one stream makes is made again on another, which nobody orders.
TEST_F(Streams, WhatOthersMakeIsKept) {
  Training training;
  Budget budget(ample());
  {
    const Step step(budget);
    const at::Tensor x = training.forward();
    const testing::OnHostStream nine(9);
    x.sin().exp().sum().backward();
  }
  EXPECT_TRUE(is_refused(budget.report(), "runs on another stream"));
}

// Breaks if: memory that the tape lets go of is used again while another stream still reads it.
TEST_F(Streams, WhatOthersReadWaitsForThem) {
  Training training;
  Budget budget(ample());
  const Step step(budget);
  const at::Tensor x = training.forward();
  const auto before = testing::stream_counts().handed_over;
  const at::Tensor at_home = x.sin();
  EXPECT_EQ(testing::stream_counts().handed_over, before);
  const testing::OnHostStream nine(9);
  const at::Tensor elsewhere = torch::cat({x, x.cos()});
  EXPECT_EQ(testing::stream_counts().handed_over, before + 3);
}

}  // namespace
}  // namespace remat

// Budgets of a CUDA device's memory. (Rule T20)
#include <functional>
#include <string>
#include <vector>

#include <ATen/autocast_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/torch.h>

#include <remat/budget.h>

#include "tests/testing/cuda.h"
#include "tests/testing/torch_versions.h"
#include "torch_bridge/device_ledger.h"

#if REMAT_TESTING_TORCH_AT_LEAST(2, 11)
#include <c10/core/CachingDeviceAllocator.h>
#endif

namespace remat {
namespace {

using testing::kFirstCuda;

#if REMAT_TESTING_TORCH_AT_LEAST(2, 11)

constexpr std::int64_t kEffort = 20'000;

/// What LibTorch's own allocator counts: what it was asked for.
c10::CachingAllocator::Stat asked_for() {
  return c10::getDeviceAllocator(c10::kCUDA)->getDeviceStats(0).requested_bytes[0];
}

BudgetOptions options_of(Bytes memory) {
  BudgetOptions options{memory, kEffort};
  options.device = kFirstCuda;
  return options;
}

struct Training {
  explicit Training(std::int64_t width = 256) {
    torch::manual_seed(3);
    for (int i = 0; i < 6; ++i) {
      net->push_back(torch::nn::Linear(width, width));
      net->push_back(torch::nn::GELU());
      net->push_back(torch::nn::Dropout(0.2));
    }
    net->to(kFirstCuda);
    input = torch::randn({1024, width}, at::TensorOptions(kFirstCuda));
  }

  at::Tensor forward() { return net->forward(input); }
  /// The gradients of a step that draws as every other one.
  void step() {
    step([this] { return forward(); });
  }
  template <class Forward>
  void step(Forward output) {
    torch::manual_seed(7);
    for (const at::Tensor& parameter : net->parameters()) {
      if (parameter.grad().defined()) parameter.mutable_grad().zero_();
    }
    output().square().mean().backward();
  }
  std::vector<at::Tensor> gradients() {
    std::vector<at::Tensor> found;
    for (const at::Tensor& parameter : net->parameters()) found.push_back(parameter.grad().cpu());
    return found;
  }

  torch::nn::Sequential net;
  at::Tensor input;
};

/// What is in use between steps, and at most in one.
struct Plain {
  Bytes fixed, peak;
  Bytes share(int percent) const { return fixed + Bytes((peak - fixed).count() * percent / 100); }
};

Plain measure(const std::function<void()>& step) {
  torch_bridge::MemoryLedger& ledger = torch_bridge::ledger_of(kFirstCuda, "test");
  step();
  step();
  const Bytes fixed(ledger.live_bytes());
  const torch_bridge::LedgerReader reader(ledger);
  step();
  return {fixed, fixed + reader.peak()};
}

void expect_equal(const std::vector<at::Tensor>& found, const std::vector<at::Tensor>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_TRUE(torch::equal(found[i], expected[i])) << "gradient " << i;
  }
}

/// Steps within `memory`: as plain to the bit, and not above it as LibTorch counts. That counts what another stream
/// may still read.
void expect_kept(Training& training, Bytes memory, const std::function<void()>& step,
                 bool on_one_stream = true) {
  step();
  const auto expected = training.gradients();
  Budget budget(options_of(memory));
  for (int i = 0; i < 6; ++i) {
    SCOPED_TRACE("within " + memory.to_string() + ", step " + std::to_string(i));
    c10::getDeviceAllocator(c10::kCUDA)->resetPeakStats(0);
    {
      const Step scope(budget);
      step();
    }
    if (on_one_stream) EXPECT_LE(asked_for().peak, memory.count());
    EXPECT_LE(budget.report().tracked_peak, memory);
    EXPECT_GT(budget.report().replays, 0);
    expect_equal(training.gradients(), expected);
  }
  EXPECT_TRUE(budget.report().planned) << budget.report();
}

// First in this file: it is skipped once another test has used the device.
TEST(CudaFirstBudget, BeforeTheDeviceIsInUse) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "LibTorch finds no CUDA device here";
  if (at::detail::getCUDAHooks().hasPrimaryContext(0)) {
    GTEST_SKIP() << "the device is in use already: run this test alone";
  }
  const Budget budget(options_of(Bytes::parse("8GiB")));
  torch_bridge::MemoryLedger& ledger = torch_bridge::ledger_of(kFirstCuda, "test");
  const at::Tensor x = torch::ones({1000}, at::TensorOptions(kFirstCuda));
  EXPECT_EQ(ledger.live_bytes(), 4000);
}

class CudaBudget : public testing::OnCuda<::testing::Test> {};

// Breaks if: blocks from before are counted as what they were rounded up to.
TEST_F(CudaBudget, CountsWhatTheAllocatorWasAskedFor) {
  const auto there = at::TensorOptions(kFirstCuda);
  at::Tensor before = torch::ones({1001}, there);
  torch_bridge::MemoryLedger& ledger = torch_bridge::ledger_of(kFirstCuda, "test");
  EXPECT_EQ(ledger.live_bytes(), asked_for().current);
  at::Tensor more = torch::ones({77}, there).matmul(torch::ones({77}, there));
  EXPECT_EQ(ledger.live_bytes(), asked_for().current);
  before = more = at::Tensor();
  EXPECT_EQ(ledger.live_bytes(), asked_for().current);
}

TEST_F(CudaBudget, TrainsWithinItWithTheSameBits) {
  Training training;
  const auto step = [&] { training.step(); };
  const Plain plain = measure(step);
  for (const int share : {80, 60}) expect_kept(training, plain.share(share), step);
}

TEST_F(CudaBudget, TrainsInBfloat16) {
  Training training;
  const auto step = [&] {
    training.step([&] {
      at::autocast::set_autocast_enabled(c10::kCUDA, true);
      at::autocast::set_autocast_dtype(c10::kCUDA, at::kBFloat16);
      const at::Tensor output = training.forward();
      at::autocast::set_autocast_enabled(c10::kCUDA, false);
      at::autocast::clear_cache();
      return output.to(at::kFloat);
    });
  };
  expect_kept(training, measure(step).share(60), step);
}

// The fused kernels save where the generator stood instead of a mask.
TEST_F(CudaBudget, TrainsFusedAttentionWithDropout) {
  Training training;
  const auto attend = [](const at::Tensor& x) {
    const at::Tensor heads = x.view({4, 256, 4, 64}).transpose(1, 2).to(at::kBFloat16);
    return at::scaled_dot_product_attention(heads, heads, heads, {}, 0.2, true)
        .transpose(1, 2)
        .reshape({1024, 256})
        .to(at::kFloat);
  };
  const auto step = [&] {
    training.step([&] { return attend(attend(training.forward()).sin()).sin(); });
  };
  expect_kept(training, measure(step).share(60), step);
}

// Breaks if: seeds that nobody drew, or padding, are compared when attention is made again. LibTorch then fills
// fresh memory with nothing; what was there before differs from step to step.
TEST_F(CudaBudget, DoesNotMindWhatKernelsLeaveUnwritten) {
  at::globalContext().setDeterministicAlgorithms(false, false);
  std::vector<at::Tensor> of_others;
  const auto leave_numbers_behind = [&] {
    for (int i = 0; i < 200; ++i) {
      of_others.push_back(torch::randn({2 + i % 64}, at::TensorOptions(kFirstCuda)));
    }
    of_others.clear();
  };
  struct Kernel {
    at::ScalarType type;
    bool of_cudnn;
  };
  for (const Kernel kernel :
       {Kernel{at::kBFloat16, true}, Kernel{at::kBFloat16, false}, Kernel{at::kFloat, false}}) {
    at::globalContext().setSDPUseCuDNN(kernel.of_cudnn);
    const auto attend = [&](const at::Tensor& x) {
      leave_numbers_behind();
      const at::Tensor sequences = x.view({8, 128, 4, 64}).slice(1, 0, 100);  // 100 is padded
      const at::Tensor heads = sequences.transpose(1, 2).to(kernel.type);
      const at::Tensor y = at::scaled_dot_product_attention(heads, heads, heads).transpose(1, 2);
      return at::constant_pad_nd(y, {0, 0, 0, 0, 0, 28}).reshape({1024, 256}).to(at::kFloat);
    };
    Training training;
    const auto step = [&] {
      training.step([&] { return attend(attend(training.forward()).sin()).sin(); });
    };
    const Plain plain = measure(step);
    Budget budget(options_of(plain.share(60)));
    for (int i = 0; i < 6; ++i) {
      const Step scope(budget);
      step();
    }
    EXPECT_GT(budget.report().replays, 0);
    EXPECT_TRUE(budget.report().pinned.empty()) << budget.report();
  }
  at::globalContext().setSDPUseCuDNN(true);
}

// What another stream makes is kept; what was let go of is made again on the step's own.
TEST_F(CudaBudget, TrainsOnTwoStreams) {
  const auto streams = c10::impl::VirtualGuardImpl(c10::kCUDA);
  const c10::Stream own = streams.getStream(kFirstCuda);
  const c10::Stream side = streams.getStreamFromGlobalPool(kFirstCuda);
  const auto wait = [](const c10::Stream& later, const c10::Stream& earlier) {
    c10::Event event(c10::kCUDA);
    event.record(earlier);
    event.block(later);
  };
  Training training(1024);
  const auto step = [&] {
    training.step([&] {
      const at::Tensor half = training.forward();
      wait(side, own);
      at::Tensor other;
      {
        const c10::StreamGuard guard(side);
        other = half.sin().matmul(training.net[0]->as<torch::nn::Linear>()->weight).cos();
      }
      wait(own, side);
      return training.net->forward(half * other);
    });
  };
  const Plain plain = measure(step);
  for (int repeat = 0; repeat < 3; ++repeat) expect_kept(training, plain.share(70), step, false);
}

TEST_F(CudaBudget, RefusesWhatDoesNotFitAndUndoesTheStep) {
  Training training;
  const auto step = [&] { training.step(); };
  const Plain plain = measure(step);
  torch_bridge::MemoryLedger& ledger = torch_bridge::ledger_of(kFirstCuda, "test");
  {
    Budget budget(options_of(plain.share(5)));
    const auto within = [&] {
      const Step scope(budget);
      step();
    };
    EXPECT_THROW(within(), BudgetError);
    EXPECT_EQ(Bytes(ledger.live_bytes()), plain.fixed);
    for (const at::Tensor& gradient : training.gradients()) {
      EXPECT_EQ(gradient.count_nonzero().item<std::int64_t>(), 0) << "as before the forward";
    }
  }
  expect_kept(training, plain.share(60), step);
}

#endif

class CudaNoBudget : public testing::OnCuda<::testing::Test> {};

TEST_F(CudaNoBudget, IsSaidWhereThereCanBeNone) {
  BudgetOptions options{Bytes::parse("8GiB")};
  options.device = kFirstCuda;
  try {
    const Budget budget(options);
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("remat was built without CUDA"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace remat

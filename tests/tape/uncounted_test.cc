// Memory from before the budget, and beside it. (Rule T21)
#include <vector>

#include <gtest/gtest.h>

#include <ATen/EmptyTensor.h>
#include <c10/core/CPUAllocator.h>
#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/memory.h>

namespace remat {
namespace {

constexpr std::int64_t kEffort = 20'000;
constexpr std::int64_t kMebi = std::int64_t{1} << 20;

/// `mebibytes` MiB of ones that LibTorch's own allocator made: as before there was a budget.
at::Tensor from_before(std::int64_t mebibytes) {
  at::Tensor tensor(at::detail::empty_generic(
      {mebibytes * kMebi / 4}, c10::GetDefaultCPUAllocator(),
      c10::DispatchKeySet(c10::DispatchKey::CPU), at::kFloat, c10::nullopt));
  return tensor.fill_(0.5);
}

Bytes mebibytes(std::int64_t count) { return Bytes(count * kMebi); }

class Uncounted : public ::testing::Test {
 protected:
  void SetUp() override { use_huge_page_allocator(); }

  /// A step that saves six tensors as large as `x`.
  static void train(const at::Tensor& x) {
    at::Tensor y = x;
    for (int i = 0; i < 6; ++i) y = y.sin();
    y.sum().backward();
  }
};

// Breaks if: a model that was made before its budget is not in it.
TEST_F(Uncounted, IsFoundAsStepsReadIt) {
  const at::Tensor x = from_before(4).requires_grad_();
  const Bytes live = *live_cpu_bytes();
  const Bytes memory = live + mebibytes(4 + 28);
  Budget budget({memory, kEffort});
  for (int i = 0; i < 4; ++i) {
    {
      const Step step(budget);
      train(x);
    }
    EXPECT_GE(budget.report().replays, 1)
        << "28 MiB are too few for six values and the gradients on their way";
    EXPECT_LE(budget.report().tracked_peak, memory) << "step " << i;
    EXPECT_GE(budget.report().fixed, live + mebibytes(4)) << "step " << i;
  }
}

TEST_F(Uncounted, GradientsAndWhatTheOptimizerWritesAre) {
  const at::Tensor x = from_before(4).requires_grad_();
  x.mutable_grad() = from_before(4);
  const at::Tensor state = from_before(4);
  const Bytes live = *live_cpu_bytes();
  Budget budget({mebibytes(1 << 10), kEffort});
  {
    const Step step(budget);
    const at::Tensor forward_only = x.sin();
  }
  EXPECT_EQ(budget.report().fixed, live + mebibytes(8));
  {
    const Step step(budget);
    train(x);
    const torch::NoGradGuard no_grad;
    state.add_(x.grad());
  }
  EXPECT_EQ(budget.report().fixed, live + mebibytes(12));
}

// Breaks if: of a model whose names are known, only what the first step has met so far is in the budget.
TEST_F(Uncounted, ModulesThatGiveNamesAreFoundAtOnce) {
  struct Net : torch::nn::Module {
    at::Tensor weight = register_parameter("weight", from_before(4));
    at::Tensor average = register_buffer("average", from_before(2));
  } net;
  net.weight.mutable_grad() = from_before(4);
  const Bytes live = *live_cpu_bytes();
  Budget budget({live + mebibytes(10 + 28), kEffort});
  budget.name_parameters(net);
  {
    const Step step(budget);
    train(net.weight);
  }
  EXPECT_EQ(budget.report().fixed, live + mebibytes(10));
  EXPECT_LE(budget.report().tracked_peak, budget.report().memory);
  EXPECT_GT(budget.report().replays, 0);
}

TEST_F(Uncounted, IsForgottenWhenItIsGone) {
  const at::Tensor x = torch::ones({4}, torch::requires_grad());
  Budget budget({mebibytes(1 << 10), kEffort});
  const auto step_with = [&](const at::Tensor& data) {
    const Step step(budget);
    (x.sum() * data.sum()).backward();
  };
  const at::Tensor small = torch::ones({4});
  step_with(small);  // makes the gradient
  step_with(small);
  const Bytes without = budget.report().fixed;
  at::Tensor data = from_before(4);
  step_with(data);
  EXPECT_EQ(budget.report().fixed, without + mebibytes(4));
  data = at::Tensor();
  step_with(small);
  EXPECT_EQ(budget.report().fixed, without);
}

// Breaks if: a file that is mapped, of which the step reads a part, fills the budget.
TEST_F(Uncounted, IsNotWhatOthersAllocated) {
  std::vector<float> memory(1024, 1);
  const at::Tensor x = torch::from_blob(memory.data(), {1024}).requires_grad_();
  const Bytes live = *live_cpu_bytes();
  Budget budget({mebibytes(1 << 10), kEffort});
  {
    const Step step(budget);
    train(x);
  }
  EXPECT_EQ(budget.report().fixed, live);
}

// Breaks if: what a program says that it uses beside is not kept free.
TEST_F(Uncounted, IsIncludedWhereTheProgramSaysSo) {
  const at::Tensor x = torch::full({kMebi}, 0.5, torch::requires_grad());
  train(x);
  const Bytes live = *live_cpu_bytes();
  const Bytes memory = live + mebibytes(44);
  const auto replays = [&](Bytes included) {
    Budget budget({memory, kEffort});
    budget.include(included);
    {
      const Step step(budget);
      train(x);
    }
    EXPECT_EQ(budget.report().fixed, live + included);
    EXPECT_LE(budget.report().tracked_peak, memory);
    return budget.report().replays;
  };
  EXPECT_EQ(replays(Bytes(0)), 0);
  EXPECT_GT(replays(mebibytes(20)), 0);
}

}  // namespace
}  // namespace remat

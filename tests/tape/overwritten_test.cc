// Leaves that are overwritten before anything is saved that was made of them.
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/memory.h>

namespace remat {
namespace {

constexpr std::int64_t kEffort = 20'000;
constexpr std::int64_t kNumbers = 64 * 512;  // more bytes than are copied without asking

/// The last value of a forward, of a weight and of memory that the forward overwrites.
using Forward = std::function<at::Tensor(const at::Tensor& weight, at::Tensor& average)>;

/// The bits of a step's gradient.
struct Training {
  at::Tensor weight = torch::linspace(-1, 1, kNumbers, torch::requires_grad());
  at::Tensor average = torch::linspace(-2, 1, kNumbers);

  Training() { weight.mutable_grad() = torch::zeros(kNumbers); }

  void step(const Forward& forward) { forward(weight, average).sum().backward(); }
  std::string gradient() const {
    return {static_cast<const char*>(weight.grad().data_ptr()), weight.grad().nbytes()};
  }
};

/// Of five steps, which have room for so many values, and a little, beside the weight and the average.
void expect_same_gradients(std::int64_t values, const Forward& forward) {
  use_huge_page_allocator();
  Training plain, within;
  Budget budget({*live_cpu_bytes() + Bytes(values * kNumbers * 4 + 1024), kEffort});
  for (int i = 0; i < 5; ++i) {
    plain.step(forward);
    {
      const Step step(budget);
      within.step(forward);
    }
    EXPECT_EQ(within.gradient() == plain.gradient(), true) << "step " << i;
    EXPECT_GT(budget.report().replays, 0) << "step " << i;
    EXPECT_LE(budget.report().tracked_peak, budget.report().memory) << "step " << i;
  }
  EXPECT_TRUE(budget.report().planned);
  EXPECT_EQ(budget.report().evictions, 0);
}

// Breaks if: an operator that read a leaf is run again after the leaf was overwritten.
TEST(OverwrittenLeaf, WhatWasMadeOfItBeforeIsKept) {
  expect_same_gradients(12, [](const at::Tensor& weight, at::Tensor& average) {
    at::Tensor x = weight + average;
    {
      const torch::NoGradGuard no_grad;
      average.mul_(0.9);
    }
    for (int i = 0; i < 16; ++i) x = x.sin();
    return x;
  });
}

// Breaks if: an operator that writes a list is run again with what one of its leaves is after it.
TEST(OverwrittenLeaf, WhatIsWrittenTogetherWithItIsKeptOrMadeOfItsCopy) {
  expect_same_gradients(14, [](const at::Tensor& weight, at::Tensor& average) {
    at::Tensor a = weight.detach().cos();
    at::_foreach_mul_({a, average}, 0.9);
    at::Tensor x = weight * a;
    a = at::Tensor();
    torch::empty({12 * kNumbers});
    return x;
  });
}

}  // namespace
}  // namespace remat

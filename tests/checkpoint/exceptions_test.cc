// Exceptions of the function: they keep their type, and leave nothing behind.
#include <stdexcept>
#include <string>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/memory.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::bit_identical;
using testing::expect_same_call;
using testing::leaf;
using testing::Leaves;

class MyError : public std::domain_error {
 public:
  explicit MyError(int error_code) : std::domain_error("my error"), code(error_code) {}
  int code;
};

/// Expects that nothing of a failed region is left on this thread: regions work as ever.
void expect_working_regions() {
  EXPECT_FALSE(is_recomputing());
  EXPECT_TRUE(c10::GradMode::is_enabled());
  const auto fn = [](const at::Tensor& x) { return torch::dropout(x.sin(), 0.5, true).sin() + 1; };
  expect_same_call(
      {leaf({100})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
  // Outside of regions autograd saves as ever: a leftover hook would hide this change.
  at::Tensor x = leaf({3}).sin();
  const at::Tensor y = x.sin();
  x.add_(1);
  EXPECT_THROW(y.sum().backward(), c10::Error);
}

at::Tensor throws(const at::Tensor& x) {
  const at::Tensor y = x.sin().sin();
  const at::NoGradGuard no_grad;
  if (y.numel() > 0) {
    throw MyError(7);
  }
  return y;
}

TEST(Exceptions, InForwardKeepTheirTypeAndRestoreAllState) {
  try {
    checkpoint(throws, leaf({3}));
    FAIL() << "the exception is lost";
  } catch (const MyError& error) {
    EXPECT_EQ(error.code, 7);
  }
  expect_working_regions();
}

TEST(Exceptions, InForwardOfANestedRegion) {
  const auto outer = [](const at::Tensor& x) { return checkpoint(throws, x.cos()); };
  EXPECT_THROW(checkpoint(outer, leaf({3})), MyError);
  expect_working_regions();
}

TEST(Exceptions, InForwardCaughtByTheOuterRegion) {
  const auto risky = [](const at::Tensor& x) {
    const at::Tensor y = x.cos();
    try {
      return checkpoint(throws, y);
    } catch (const MyError&) {
      return y.sin();
    }
  };
  expect_same_call(
      {leaf({3})}, [](const Leaves& l) { return l[0].cos().sin(); },
      [&](const Leaves& l) { return checkpoint(risky, l[0]); });
}

TEST(Exceptions, InForwardKeepNothingAlive) {
  const MemoryTracker tracker;
  const at::Tensor x = leaf({1000});
  const Bytes before = tracker.live_bytes();
  EXPECT_THROW(checkpoint(throws, x), MyError);
  EXPECT_EQ(tracker.live_bytes(), before);
}

TEST(Exceptions, OfLibTorchItselfKeepTheirType) {
  const auto fn = [](const at::Tensor& x) { return x.sin().mm(x); };
  EXPECT_THROW(checkpoint(fn, leaf({3})), c10::Error);
  expect_working_regions();
}

/// A region that throws when it is recomputed, as long as `fails` is set.
auto failing_again(const bool& fails) {
  return [&fails](const at::Tensor& x) {
    const at::Tensor y = torch::dropout(x.sin(), 0.5, true);
    if (is_recomputing() && fails) {
      const at::NoGradGuard no_grad;
      throw MyError(9);
    }
    return y.sin();
  };
}

// Breaks if: the type is lost on the way through the engine, or a guard is missing.
TEST(Exceptions, InRecomputationKeepTheirTypeAndRestoreAllState) {
  const bool fails = true;
  const at::Tensor y = checkpoint(failing_again(fails), leaf({300}));
  const at::Tensor state = at::detail::getDefaultCPUGenerator().get_state();
  try {
    y.sum().backward();
    FAIL() << "the exception is lost";
  } catch (const MyError& error) {
    EXPECT_EQ(error.code, 9);
  }
  EXPECT_TRUE(bit_identical(state, at::detail::getDefaultCPUGenerator().get_state()));
  expect_working_regions();
}

// Breaks if: half a recomputation is taken for a whole one by the next pass.
TEST(Exceptions, InRecomputationLeaveTheRegionUsable) {
  bool fails = true;
  const at::Tensor x = leaf({300});
  torch::manual_seed(3);
  const at::Tensor y = checkpoint(failing_again(fails), x);
  EXPECT_THROW(torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true), MyError);
  fails = false;
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  torch::manual_seed(3);
  const at::Tensor plain = torch::dropout(x.sin(), 0.5, true).sin();
  EXPECT_TRUE(bit_identical(found, torch::autograd::grad({plain.sum()}, {x})[0]));
}

TEST(Exceptions, InRecomputationKeepNothingAlive) {
  const MemoryTracker tracker;
  const at::Tensor x = leaf({1000});
  const Bytes before = tracker.live_bytes();
  {
    const bool fails = true;
    const at::Tensor y = checkpoint(failing_again(fails), x);
    EXPECT_THROW(torch::autograd::grad({y.sum()}, {x}), MyError);
  }
  EXPECT_EQ(tracker.live_bytes(), before);
}

TEST(Exceptions, InRecomputationOfANestedRegion) {
  const bool fails = true;
  const auto outer = [&](const at::Tensor& x) { return checkpoint(failing_again(fails), x).sin(); };
  const at::Tensor y = checkpoint(outer, leaf({30}));
  EXPECT_THROW(y.sum().backward(), MyError);
  expect_working_regions();
}

TEST(Exceptions, UnderNoGradAreTheFunctionsOwn) {
  const at::NoGradGuard no_grad;
  EXPECT_THROW(checkpoint(throws, leaf({3})), MyError);
}

}  // namespace
}  // namespace remat

// Inference mode: around a region, inside one, and its tensors as arguments of one.
#include <gmock/gmock.h>

#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "tests/testing/recomputations.h"
#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::bit_identical;
using testing::Calls;
using testing::expect_same_call;
using ::testing::HasSubstr;
using testing::leaf;
using testing::Leaves;
using testing::Recomputations;
using testing::values;

at::Tensor inference_tensor(std::uint64_t seed) {
  const c10::InferenceMode inference;
  return values({4}, seed);
}

TEST(InferenceMode, AroundARegionMakesTheCallPlain) {
  Calls calls;
  const at::Tensor w = leaf({4});
  const c10::InferenceMode inference;
  const at::Tensor x = values({4}, 2);
  const auto fn = [&](const at::Tensor& t) {
    calls.count();
    return (t * w).sin();
  };
  const at::Tensor y = checkpoint(fn, x);
  EXPECT_TRUE(y.is_inference());
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(calls.forward, 1);
  EXPECT_TRUE(bit_identical(y, (x * w).sin()));
}

// What autograd need not save may be an inference tensor, in plain and in a region.
TEST(InferenceMode, ItsTensorsMayBeArguments) {
  const at::Tensor offset = inference_tensor(2);
  const auto fn = [](const at::Tensor& x, const at::Tensor& by) { return (x + by).sin().cos(); };
  expect_same_call(
      {leaf({4})}, [&](const Leaves& l) { return fn(l[0], offset); },
      [&](const Leaves& l) { return checkpoint(fn, l[0], offset); });
}

TEST(InferenceMode, ItsTensorsMayBeCaptured) {
  const at::Tensor scale = inference_tensor(2);
  const auto fn = [scale](const at::Tensor& x) { return (x * scale.clone()).sin() + scale; };
  expect_same_call(
      {leaf({4})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

TEST(InferenceMode, ItsTensorsMayBeArgumentsOfInnerRegions) {
  const at::Tensor offset = inference_tensor(2);
  const auto inner = [](const at::Tensor& x, const at::Tensor& by) { return (x + by).sin().cos(); };
  const auto outer = [inner](const at::Tensor& x, const at::Tensor& by) {
    return checkpoint(inner, x.sin(), by).tanh();
  };
  expect_same_call(
      {leaf({4})}, [&](const Leaves& l) { return inner(l[0].sin(), offset).tanh(); },
      [&](const Leaves& l) { return checkpoint(outer, l[0], offset); }, 2);
}

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "none";
}

TEST(InferenceMode, ATensorThatCannotBeSavedIsAutogradsOwnError) {
  const at::Tensor x = leaf({4}), scale = inference_tensor(2);
  const auto fn = [](const at::Tensor& t, const at::Tensor& by) { return (t * by).sin(); };
  const std::string plain = error_of([&] { fn(x, scale); });
  EXPECT_THAT(plain, HasSubstr("Inference tensors cannot be saved"));
  EXPECT_EQ(error_of([&] { checkpoint(fn, x, scale); }), plain);
}

TEST(InferenceMode, InsideTheFunction) {
  const auto fn = [](const at::Tensor& x, const at::Tensor& w) {
    at::Tensor scale;
    {
      const c10::InferenceMode inference;
      scale = (x * w).softmax(0);
    }
    return (x * w * scale.clone()).sin() + scale;
  };
  expect_same_call(
      {leaf({4}), leaf({4}, 2)}, [&](const Leaves& l) { return fn(l[0], l[1]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0], l[1]); });
}

/// Moves `average` inside an inference scope and then uses it.
at::Tensor with_moving_average(const at::Tensor& x, at::Tensor average) {
  {
    const c10::InferenceMode inference;
    average.mul_(0.9).add_(x.abs(), 0.1);
  }
  return (x * average.clone()).sin();
}

/// Expects that a region moves `make()`, as plain does: once, and that it reads it as the forward did.
void expect_moved_once(const std::function<at::Tensor()>& make) {
  const at::Tensor plain = make(), average = make(), x = leaf({4});
  const auto expected = torch::autograd::grad({with_moving_average(x, plain).sum()}, {x})[0];
  const at::Tensor y = checkpoint(with_moving_average, x, average);
  const Recomputations recomputations;
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  EXPECT_EQ(recomputations.count(), 1);
  EXPECT_TRUE(bit_identical(found, expected));
  EXPECT_TRUE(bit_identical(average, plain));
}

// Breaks if: a write in inference mode, which is below autograd, is not seen.
TEST(InferenceMode, ABufferWrittenInItIsWrittenOnce) {
  expect_moved_once([] { return torch::ones({4}); });
}

TEST(InferenceMode, ATensorOfItsOwnWrittenInItIsWrittenOnce) {
  expect_moved_once([] { return inference_tensor(3); });
}

}  // namespace
}  // namespace remat

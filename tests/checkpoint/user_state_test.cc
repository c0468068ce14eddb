// State of the user's own, saved and restored by callbacks (Rule 16).
#include <random>
#include <stdexcept>

#include <gmock/gmock.h>

#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::bit_identical;
using testing::leaf;

/// A generator that remat does not know.
class UserState : public ::testing::Test {
 protected:
  UserState() {
    options_.state.save = [this]() -> std::any { return engine_; };
    options_.state.restore = [this](const std::any& state) {
      engine_ = std::any_cast<std::mt19937>(state);
    };
  }
  at::Tensor fn(const at::Tensor& x) {
    const double scale = std::uniform_real_distribution<>()(engine_);
    return (x * scale).sin();
  }
  at::Tensor region(const at::Tensor& x) {
    return checkpoint(
        options_, [this](const at::Tensor& t) { return fn(t); }, x);
  }

  std::mt19937 engine_{7};
  at::Tensor x_ = leaf({5});
  CheckpointOptions options_;
};

TEST_F(UserState, IsWhatTheForwardFoundAndThenWhatWasThere) {
  const at::Tensor expected = torch::autograd::grad({fn(x_).sum()}, {x_})[0];
  engine_.seed(7);
  const at::Tensor y = region(x_);
  engine_.discard(3);
  const std::mt19937 before = engine_;
  EXPECT_TRUE(bit_identical(torch::autograd::grad({y.sum()}, {x_})[0], expected));
  EXPECT_EQ(engine_, before);
}

TEST_F(UserState, IsEachRegionsOwn) {
  const at::Tensor expected = torch::autograd::grad({fn(fn(x_)).sum()}, {x_})[0];
  engine_.seed(7);
  const at::Tensor y = region(region(x_)).sum();
  EXPECT_TRUE(bit_identical(torch::autograd::grad({y}, {x_}, {}, true)[0], expected));
  EXPECT_TRUE(bit_identical(torch::autograd::grad({y}, {x_})[0], expected));
}

TEST_F(UserState, InNestedRegions) {
  const at::Tensor expected = torch::autograd::grad({fn(fn(x_)).sin().sum()}, {x_})[0];
  engine_.seed(7);
  const at::Tensor y = checkpoint(
      options_, [this](const at::Tensor& t) { return region(fn(t)).sin(); }, x_);
  const std::mt19937 before = engine_;
  EXPECT_TRUE(bit_identical(torch::autograd::grad({y.sum()}, {x_})[0], expected));
  EXPECT_EQ(engine_, before);
}

TEST_F(UserState, IsPutBackWhenARecomputationThrows) {
  const at::Tensor y = checkpoint(
      options_,
      [this](const at::Tensor& t) {
        if (is_recomputing()) {
          engine_.discard(1);
          throw std::domain_error("in recomputation");
        }
        return fn(t);
      },
      x_);
  const std::mt19937 before = engine_;
  EXPECT_THROW(y.sum().backward(), std::domain_error);
  EXPECT_EQ(engine_, before);
}

TEST_F(UserState, IsPutBackAfterAnEarlyStop) {
  const at::Tensor y = checkpoint(
      options_,
      [this](const at::Tensor& t) {
        const at::Tensor u = fn(t);
        engine_.discard(2);
        return u + 1;
      },
      x_);
  const std::mt19937 before = engine_;
  y.sum().backward();
  EXPECT_EQ(engine_, before);
}

TEST_F(UserState, IsLeftAloneWithoutGradMode) {
  options_.state.save = []() -> std::any { throw std::logic_error("was saved"); };
  torch::NoGradGuard no_grad;
  region(x_);
}

TEST_F(UserState, WhatCallbacksThrowLeavesWithItsType) {
  options_.state.restore = [](const std::any&) { throw std::range_error("cannot restore"); };
  const at::Tensor y = region(x_);
  EXPECT_THROW(y.sum().backward(), std::range_error);
  EXPECT_FALSE(is_recomputing());
  options_.state.save = []() -> std::any { throw std::range_error("cannot save"); };
  EXPECT_THROW(region(x_), std::range_error);
}

TEST_F(UserState, NeedsBothCallbacks) {
  options_.state.restore = nullptr;
  try {
    region(x_);
    FAIL() << "was accepted";
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("only one of `save` and `restore`"));
  }
}

}  // namespace
}  // namespace remat

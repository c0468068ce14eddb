// Regions inside regions.
#include <array>

#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/memory.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::Calls;
using testing::expect_same_call;
using testing::leaf;
using testing::Leaves;

CheckpointOptions with_early_stop(bool early_stop) {
  CheckpointOptions options;
  options.early_stop = early_stop;
  return options;
}

class Nested : public ::testing::TestWithParam<bool> {};

/// Three regions, one in the other, ops before and after each inner one.
at::Tensor three_deep(const CheckpointOptions& options, std::array<Calls, 3>& calls,
                      const at::Tensor& x, const at::Tensor& w) {
  const auto third = [&calls, w](const at::Tensor& t) {
    const at::Tensor y = (t * w).sin();
    calls[2].count();
    return y.sin();
  };
  const auto second = [&calls, w, third, options](const at::Tensor& t) {
    const at::Tensor y = (t * w).cos();
    calls[1].count();
    return checkpoint(options, third, y).sin();
  };
  const auto first = [&calls, w, second, options](const at::Tensor& t) {
    const at::Tensor y = (t * w).tanh();
    calls[0].count();
    return checkpoint(options, second, y).cos();
  };
  return checkpoint(options, first, x);
}

TEST_P(Nested, ThreeDeepGivesThePlainGradients) {
  std::array<Calls, 3> calls;
  expect_same_call(
      {leaf({4}, 1), leaf({4}, 2)},
      [](const Leaves& l) {
        const at::Tensor &x = l[0], &w = l[1];
        return ((((x * w).tanh() * w).cos() * w).sin().sin().sin()).cos();
      },
      [&](const Leaves& l) { return three_deep(with_early_stop(GetParam()), calls, l[0], l[1]); },
      3);
}

// Backward needs something of the outermost region first: it runs once more, and with it, as forward,
// the inner two; then the second runs for its own tensors, and with it the third; then the third.
// Breaks if: an inner region is unfolded in the outer one's recomputation (1, 1, 1), or recomputed
// tensors are not found again within one pass (more).
TEST_P(Nested, RecomputesEnclosingRegionsBeforeInnerOnes) {
  std::array<Calls, 3> calls;
  const at::Tensor x = leaf({4}, 1), w = leaf({4}, 2);
  three_deep(with_early_stop(GetParam()), calls, x, w).sum().backward();
  for (const Calls& call : calls) {
    EXPECT_EQ(call.forward, 1);
  }
  EXPECT_EQ(calls[0].recomputed, 1);
  EXPECT_EQ(calls[1].recomputed, 2);
  EXPECT_EQ(calls[2].recomputed, 3);
}

/// Inner regions last: the outer ones save nothing after they hand their argument on.
at::Tensor tail_nested(const CheckpointOptions& options, std::array<Calls, 3>& calls,
                       const at::Tensor& x) {
  const auto third = [&calls](const at::Tensor& t) {
    const at::Tensor y = t.sin();
    calls[2].count();
    return y.sin();
  };
  const auto second = [&calls, third, options](const at::Tensor& t) {
    const at::Tensor y = t.cos();
    calls[1].count();
    return checkpoint(options, third, y);
  };
  const auto first = [&calls, second, options](const at::Tensor& t) {
    const at::Tensor y = t.tanh();
    calls[0].count();
    return checkpoint(options, second, y);
  };
  return checkpoint(options, first, x);
}

// Breaks if: the stop waits for the inner region's end.
TEST(Nested, EarlyStopSkipsInnerRegionsThatComeLast) {
  std::array<Calls, 3> calls;
  tail_nested(with_early_stop(true), calls, leaf({4})).sum().backward();
  EXPECT_EQ(calls[0].recomputed, 1);
  EXPECT_EQ(calls[1].recomputed, 1);
  EXPECT_EQ(calls[2].recomputed, 1);
}

TEST(Nested, WithoutEarlyStopInnerRegionsRunInEveryEnclosingRecomputation) {
  std::array<Calls, 3> calls;
  tail_nested(with_early_stop(false), calls, leaf({4})).sum().backward();
  EXPECT_EQ(calls[0].recomputed, 1);
  EXPECT_EQ(calls[1].recomputed, 2);
  EXPECT_EQ(calls[2].recomputed, 3);
}

TEST_P(Nested, SiblingsInsideARegion) {
  const auto options = with_early_stop(GetParam());
  const auto inner = [](const at::Tensor& t, const at::Tensor& w) { return (t * w).sin().sin(); };
  const auto plain = [inner](const at::Tensor& x, const at::Tensor& w) {
    return inner(inner(x.cos(), w), w) + x;
  };
  const auto regions = [inner, options](const at::Tensor& x, const at::Tensor& w) {
    return checkpoint(options, inner, checkpoint(options, inner, x.cos(), w), w) + x;
  };
  expect_same_call(
      {leaf({4}, 1), leaf({4}, 2)}, [&](const Leaves& l) { return plain(l[0], l[1]); },
      [&](const Leaves& l) { return checkpoint(options, regions, l[0], l[1]); }, 3);
}

TEST_P(Nested, WithDropoutAtEveryDepth) {
  const auto options = with_early_stop(GetParam());
  const auto drop = [](const at::Tensor& t) { return torch::dropout(t.sin(), 0.4, true); };
  const auto plain = [drop](const at::Tensor& x) { return drop(drop(drop(x)).sin()).sin(); };
  const auto regions = [drop, options](const at::Tensor& x) {
    const auto middle = [drop, options](const at::Tensor& t) {
      return checkpoint(options, drop, drop(t)).sin();
    };
    return drop(checkpoint(options, middle, x)).sin();
  };
  expect_same_call(
      {leaf({200})}, [&](const Leaves& l) { return plain(l[0]); },
      [&](const Leaves& l) { return checkpoint(options, regions, l[0]); }, 3);
}

TEST_P(Nested, TwoPassesOverARetainedGraph) {
  std::array<Calls, 3> calls;
  const at::Tensor x = leaf({4}, 1), w = leaf({4}, 2);
  const at::Tensor y = three_deep(with_early_stop(GetParam()), calls, x, w);
  const auto first = torch::autograd::grad({y.sum()}, {x, w}, {}, /*retain_graph=*/true);
  const auto second = torch::autograd::grad({y.sum()}, {x, w});
  EXPECT_TRUE(testing::bit_identical(first[0], second[0]));
  EXPECT_TRUE(testing::bit_identical(first[1], second[1]));
  EXPECT_EQ(calls[0].recomputed, 2);
}

TEST_P(Nested, LeavesNothingBehind) {
  const MemoryTracker tracker;
  const at::Tensor x = leaf({1000}, 1), w = leaf({1000}, 2);
  const Bytes before = tracker.live_bytes();
  {
    std::array<Calls, 3> calls;
    const at::Tensor y = three_deep(with_early_stop(GetParam()), calls, x, w);
    torch::autograd::grad({y.sum()}, {x, w});
  }
  EXPECT_EQ(tracker.live_bytes(), before);
}

// Breaks if: the outer region keeps what the inner one hands over.
TEST_P(Nested, KeepsOnlyTheOutermostArguments) {
  const MemoryTracker tracker;
  const at::Tensor x = leaf({1000}, 1), w = leaf({1000}, 2);
  const Bytes before = tracker.live_bytes();
  std::array<Calls, 3> calls;
  const at::Tensor y = three_deep(with_early_stop(GetParam()), calls, x, w);
  EXPECT_EQ(tracker.live_bytes() - before, Bytes(4000)) << "more than the output is live";
}

INSTANTIATE_TEST_SUITE_P(EarlyStop, Nested, ::testing::Bool());

}  // namespace
}  // namespace remat

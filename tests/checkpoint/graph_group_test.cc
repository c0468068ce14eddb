// Recomputing early, and once for several backward passes (Rule 17).
#include <thread>

#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/graph_group.h>
#include <remat/memory.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::bit_identical;
using testing::Calls;
using testing::leaf;

/// A region of one linear layer and dropout, whose calls are counted.
class GraphGroups : public ::testing::Test {
 protected:
  at::Tensor layer(const at::Tensor& x) {
    calls_.count();
    return torch::dropout(x.matmul(w_).tanh(), 0.5, true).sin();
  }
  at::Tensor region(const at::Tensor& x) {
    options_.handle = &handle_;
    return checkpoint(
        options_, [this](const at::Tensor& t) { return layer(t); }, x);
  }
  std::vector<at::Tensor> plain_gradients() {
    torch::manual_seed(4);
    return torch::autograd::grad({layer(x_).sum()}, {x_, w_});
  }
  at::Tensor forward() {
    torch::manual_seed(4);
    return region(x_).sum();
  }
  at::Tensor gradient(const at::Tensor& y, const at::Tensor& of, bool retain = true) {
    return torch::autograd::grad({y}, {of}, {}, retain)[0];
  }

  at::Tensor x_ = leaf({8, 8}), w_ = leaf({8, 8}, 2);
  Calls calls_;
  CheckpointOptions options_;
  RegionHandle handle_;
};

// ---- GraphGroup ----------------------------------------------------------------------------------

// As zero-bubble pipelines do: the input's gradient first, the weight's later.
TEST_F(GraphGroups, RecomputeOnceForTwoPasses) {
  const auto plain = plain_gradients();
  const at::Tensor y = forward();
  GraphGroup group;
  at::Tensor grad_x, grad_w;
  {
    GraphGroup::Scope scope(group);
    grad_x = gradient(y, x_);
  }
  EXPECT_EQ(calls_.recomputed, 1);
  torch::rand({3});  // other work in between
  {
    GraphGroup::Scope scope(group);
    grad_w = gradient(y, w_, /*retain=*/false);
  }
  EXPECT_EQ(calls_.recomputed, 1);
  EXPECT_TRUE(bit_identical(grad_x, plain[0]));
  EXPECT_TRUE(bit_identical(grad_w, plain[1]));
}

// Breaks if: passes outside of the group take from it, or those of two groups from one another.
TEST_F(GraphGroups, AreTheOnlyPassesThatShare) {
  const at::Tensor y = forward();
  GraphGroup first, second;
  {
    GraphGroup::Scope scope(first);
    gradient(y, x_);
  }
  gradient(y, x_);
  EXPECT_EQ(calls_.recomputed, 2);
  {
    GraphGroup::Scope scope(second);
    gradient(y, x_);
    EXPECT_EQ(calls_.recomputed, 3);
    GraphGroup::Scope inner(first);
    gradient(y, x_);
  }
  EXPECT_EQ(calls_.recomputed, 3);
}

TEST_F(GraphGroups, ReleaseLetsGo) {
  const at::Tensor y = forward();
  MemoryTracker tracker;
  GraphGroup group;
  GraphGroup::Scope scope(group);
  gradient(y, x_);
  EXPECT_GT(tracker.live_bytes(), Bytes(0));
  group.release();
  EXPECT_EQ(tracker.live_bytes(), Bytes(0));
  gradient(y, x_);
  EXPECT_EQ(calls_.recomputed, 2);
}

TEST_F(GraphGroups, TheEndOfTheLastCopyLetsGo) {
  const at::Tensor y = forward();
  MemoryTracker tracker;
  {
    GraphGroup group;
    const GraphGroup copy = group;
    GraphGroup::Scope scope(copy);
    gradient(y, x_);
  }
  EXPECT_EQ(tracker.live_bytes(), Bytes(0));
}

TEST_F(GraphGroups, ThePassThatReleasesTheGraphLetsGo) {
  const at::Tensor y = forward();
  MemoryTracker tracker;
  GraphGroup group;
  GraphGroup::Scope scope(group);
  gradient(y, x_);
  gradient(y, w_, /*retain=*/false);
  EXPECT_EQ(tracker.live_bytes(), Bytes(0));
}

TEST_F(GraphGroups, HoldNestedRegionsToo) {
  int inner_calls = 0;
  const auto nested = [&](const at::Tensor& x) {
    return checkpoint(
        [&](const at::Tensor& t) {
          const at::Tensor u = layer(t);
          return checkpoint(
              [&](const at::Tensor& v) {
                ++inner_calls;
                return v.sin().cos();
              },
              u);
        },
        x);
  };
  const at::Tensor y = nested(x_).sum();
  const int forward_calls = inner_calls;
  const at::Tensor expected = gradient(y, x_);
  const int calls_of_a_pass = inner_calls - forward_calls;
  GraphGroup group;
  GraphGroup::Scope scope(group);
  EXPECT_TRUE(bit_identical(gradient(y, x_), expected));
  EXPECT_TRUE(bit_identical(gradient(y, x_), expected));
  EXPECT_EQ(inner_calls, forward_calls + 2 * calls_of_a_pass);
  EXPECT_EQ(calls_.recomputed, 2);
}

TEST_F(GraphGroups, MayBeUsedByTwoThreadsAtOnce) {
  const auto plain = plain_gradients();
  const at::Tensor y = forward();
  const GraphGroup group;
  at::Tensor grad_x, grad_w;
  std::thread other([&] {
    GraphGroup::Scope scope(group);
    grad_w = gradient(y, w_);
  });
  {
    GraphGroup::Scope scope(group);
    grad_x = gradient(y, x_);
  }
  other.join();
  EXPECT_EQ(calls_.recomputed, 1);
  EXPECT_TRUE(bit_identical(grad_x, plain[0]));
  EXPECT_TRUE(bit_identical(grad_w, plain[1]));
}

// ---- RegionHandle --------------------------------------------------------------------------------

TEST_F(GraphGroups, PrefetchLeavesNothingToRecompute) {
  const auto plain = plain_gradients();
  const at::Tensor y = forward();
  const at::Tensor drawn = torch::rand({4});
  handle_.prefetch();
  EXPECT_EQ(calls_.recomputed, 1);
  const auto found = torch::autograd::grad({y}, {x_, w_});
  EXPECT_EQ(calls_.recomputed, 1);
  EXPECT_TRUE(bit_identical(found[0], plain[0]));
  EXPECT_TRUE(bit_identical(found[1], plain[1]));
  const at::Tensor drawn_after = torch::rand({4});
  torch::manual_seed(4);
  layer(x_);
  EXPECT_TRUE(bit_identical(drawn, torch::rand({4})));
  EXPECT_TRUE(bit_identical(drawn_after, torch::rand({4})));
}

TEST_F(GraphGroups, PrefetchServesOnePass) {
  const at::Tensor y = forward();
  handle_.prefetch();
  gradient(y, x_);
  EXPECT_EQ(calls_.recomputed, 1);
  gradient(y, x_);
  EXPECT_EQ(calls_.recomputed, 2);
}

TEST_F(GraphGroups, PrefetchInAGroupServesItsPasses) {
  const at::Tensor y = forward();
  GraphGroup group;
  GraphGroup::Scope scope(group);
  handle_.prefetch();
  handle_.prefetch();
  gradient(y, x_);
  gradient(y, w_);
  EXPECT_EQ(calls_.recomputed, 1);
}

TEST_F(GraphGroups, PrefetchOnAnotherThread) {
  const auto plain = plain_gradients();
  const at::Tensor y = forward();
  std::thread([this] { handle_.prefetch(); }).join();
  EXPECT_TRUE(bit_identical(gradient(y, x_), plain[0]));
  EXPECT_EQ(calls_.recomputed, 1);
}

TEST_F(GraphGroups, PrefetchThatIsNotUsedGoesWithTheGraph) {
  at::Tensor y = forward();
  MemoryTracker tracker;
  handle_.prefetch();
  EXPECT_GT(tracker.live_bytes(), Bytes(0));
  y.reset();
  EXPECT_LE(tracker.live_bytes(), Bytes(0));
}

TEST_F(GraphGroups, PrefetchDoesNothingOnceTheGraphIsReleased) {
  const at::Tensor y = forward();
  gradient(y, x_, /*retain=*/false);
  EXPECT_EQ(calls_.recomputed, 1);
  handle_.prefetch();
  EXPECT_EQ(calls_.recomputed, 1);
  RegionHandle().prefetch();
}

// Breaks if: the handle follows the regions that a recomputation makes anew.
TEST_F(GraphGroups, AHandleKeepsItsRegionWhenAnEnclosingOneIsRecomputed) {
  const at::Tensor y =
      checkpoint([this](const at::Tensor& x) { return region(x).sin(); }, x_).sum();
  const at::Tensor expected = gradient(y, x_);
  const int recomputed = calls_.recomputed;
  handle_.prefetch();
  EXPECT_GT(calls_.recomputed, recomputed) << "the handle has lost its region";
  EXPECT_TRUE(bit_identical(gradient(y, x_), expected));
}

TEST_F(GraphGroups, PrefetchThrowsWhatBackwardWould) {
  const at::Tensor captured = torch::ones({8, 8});
  options_.handle = &handle_;
  const at::Tensor y = checkpoint(
      options_, [&](const at::Tensor& t) { return (t * captured).sin(); }, x_);
  captured.add_(1);
  EXPECT_THROW(handle_.prefetch(), CheckpointError);
}

}  // namespace
}  // namespace remat

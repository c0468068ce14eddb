// What a region keeps, and for how long.
#include <memory>

#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/memory.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::Calls;
using testing::leaf;
using testing::values;

constexpr std::int64_t kNumel = 1000;
const Bytes kOneTensor(4 * kNumel);

// One by one: the temporaries of one expression would all live until its end.
at::Tensor eight_ops(const at::Tensor& x) {
  at::Tensor y = x;
  for (int i = 0; i < 4; ++i) {
    y = y.sin();
    y = y.tanh();
  }
  return y;
}

/// Live bytes beyond those of a leaf of kNumel floats, which outlives what is measured.
class Lifetime : public ::testing::Test {
 protected:
  Bytes live() const { return tracker_.live_bytes() - fixed_; }
  Bytes peak() const { return tracker_.peak_bytes() - fixed_; }
  void reset_peak() { tracker_.reset_peak(); }

 private:
  MemoryTracker tracker_;

 protected:
  const at::Tensor x_ = leaf({kNumel});

 private:
  const Bytes fixed_ = tracker_.live_bytes();
};

// Breaks if: any activation, or the generator's state of a region that draws nothing, is kept.
TEST_F(Lifetime, AfterForwardOnlyTheOutputIsLive) {
  const at::Tensor y = checkpoint(eight_ops, x_);
  EXPECT_EQ(live(), kOneTensor);
}

// tanh saves its own result, which is the region's output.
TEST_F(Lifetime, TheOutputIsNotKept) {
  at::Tensor y = checkpoint(eight_ops, x_);
  const at::Tensor z = y + 1;
  y.reset();
  EXPECT_EQ(live(), kOneTensor) << "z only";
}

TEST_F(Lifetime, TheForwardDoesNotHoldItsActivationsTogether) {
  reset_peak();
  const at::Tensor y = checkpoint(eight_ops, x_);
  EXPECT_LE(peak(), kOneTensor * 3 + Bytes(8192)) << "8 KiB for the generator's state";
}

TEST_F(Lifetime, AfterBackwardNothingButTheGradientIsLive) {
  checkpoint(eight_ops, x_).sum().backward();
  EXPECT_EQ(live(), kOneTensor);
}

TEST_F(Lifetime, AfterAutogradGradNothingIsLiveButItsResultAndTheOutput) {
  const at::Tensor y = checkpoint(eight_ops, x_);
  const auto g = torch::autograd::grad({y.sum()}, {x_});
  EXPECT_EQ(live(), kOneTensor * 2);
}

// Breaks if: recomputed tensors stay until the pass is over rather than dying with their node.
TEST_F(Lifetime, DuringBackwardRecomputedTensorsDieWithTheirNodes) {
  // The regions' inputs: one tensor each. Recomputed: the tensors of one region at a time.
  at::Tensor y = x_;
  for (int i = 0; i < 6; ++i) {
    y = checkpoint(eight_ops, y);
  }
  reset_peak();
  y.sum().backward();
  EXPECT_LE(peak(), kOneTensor * (6 + 8 + 4)) << "of 24 saved ones and 6 inputs in all";
}

// Breaks if: what backward has used is kept for a node that will not ask again.
TEST_F(Lifetime, DuringBackwardOverARetainedGraphTheyDieToo) {
  at::Tensor y = x_;
  for (int i = 0; i < 6; ++i) {
    y = checkpoint(eight_ops, y);
  }
  reset_peak();
  torch::autograd::grad({y.sum()}, {x_}, {}, /*retain_graph=*/true);
  EXPECT_LE(peak(), kOneTensor * (6 + 8 + 4)) << "of 24 saved ones and 6 inputs in all";
}

TEST_F(Lifetime, AGraphDroppedWithoutBackwardLeavesNothing) {
  { const at::Tensor y = checkpoint(eight_ops, x_); }
  EXPECT_EQ(live(), Bytes(0));
}

TEST_F(Lifetime, ADroppedGraphOfManyRegionsLeavesNothing) {
  {
    at::Tensor y = x_;
    for (int i = 0; i < 20; ++i) {
      y = checkpoint([](const at::Tensor& t) { return torch::dropout(t.sin(), 0.5, true).sin(); },
                     y);
    }
  }
  EXPECT_EQ(live(), Bytes(0));
}

// Breaks if: what was recomputed for a pass that used a part of it outlives that pass.
TEST_F(Lifetime, APartialBackwardThenADroppedGraphLeaveNothing) {
  {
    const auto [y, z] = checkpoint(
        [](const at::Tensor& t) { return std::make_pair(eight_ops(t), eight_ops(t.cos())); }, x_);
    torch::autograd::grad({y.sum()}, {x_});
    EXPECT_EQ(live(), kOneTensor * 2) << "the outputs only";
  }
  EXPECT_EQ(live(), Bytes(0));
}

TEST_F(Lifetime, ARetainedGraphKeepsNoRecomputedTensors) {
  const at::Tensor y = checkpoint(eight_ops, x_);
  for (int pass = 0; pass < 2; ++pass) {
    torch::autograd::grad({y.sum()}, {x_}, {}, /*retain_graph=*/true);
    EXPECT_EQ(live(), kOneTensor) << "the output only";
  }
}

TEST_F(Lifetime, ADoubleBackwardLeavesNothing) {
  {
    const at::Tensor y = checkpoint(eight_ops, x_);
    const auto g = torch::autograd::grad({y.sum()}, {x_}, {}, /*retain_graph=*/true,
                                         /*create_graph=*/true)[0];
    torch::autograd::grad({g.sum()}, {x_});
  }
  EXPECT_EQ(live(), Bytes(0));
}

TEST_F(Lifetime, ABackwardInsideForwardLeavesNothing) {
  {
    const at::Tensor y = checkpoint(
        [](const at::Tensor& t) {
          const at::Tensor z = eight_ops(t);
          const auto g = torch::autograd::grad({z.sum()}, {t}, {}, /*retain_graph=*/true,
                                               /*create_graph=*/true)[0];
          return (z * g).sin();
        },
        x_);
    torch::autograd::grad({y.sum()}, {x_});
  }
  EXPECT_EQ(live(), Bytes(0));
}

// What is kept of a random region: its generator's state, no tensors.
TEST_F(Lifetime, DropoutMasksAreNotKept) {
  const at::Tensor y =
      checkpoint([](const at::Tensor& t) { return torch::dropout(t.sin(), 0.5, true).sin(); }, x_);
  EXPECT_LE(live(), kOneTensor + Bytes(8192));
}

TEST_F(Lifetime, IntermediateInputsAreKeptUntilBackward) {
  at::Tensor input = x_ * 2;
  at::Tensor y = checkpoint(eight_ops, input);
  input.reset();
  EXPECT_EQ(live(), kOneTensor * 2);
  y.sum().backward();
  y.reset();
  EXPECT_EQ(live(), kOneTensor) << "the gradient";
}

// Breaks if: the list itself is kept rather than a copy.
TEST_F(Lifetime, AListOfArgumentsThatThenReceivesTheOutputMakesNoCycle) {
  {
    std::vector<at::Tensor> list = {x_};
    list.push_back(
        checkpoint([](const std::vector<at::Tensor>& l) { return eight_ops(l[0]); }, list));
  }
  EXPECT_EQ(live(), Bytes(0));
}

// ---- the callable ------------------------------------------------------------------------------------

TEST_F(Lifetime, TheCallableLivesUntilBackward) {
  auto owned = std::make_shared<int>(2);
  const std::weak_ptr<int> watch = owned;
  const at::Tensor y = checkpoint([owned](const at::Tensor& t) { return (t * *owned).sin(); }, x_);
  owned.reset();
  EXPECT_FALSE(watch.expired());
  y.sum().backward();
  EXPECT_TRUE(watch.expired());
}

TEST_F(Lifetime, TheCallableDiesWithADroppedGraph) {
  auto owned = std::make_shared<int>(2);
  const std::weak_ptr<int> watch = owned;
  {
    const at::Tensor y =
        checkpoint([owned](const at::Tensor& t) { return (t * *owned).sin(); }, x_);
    owned.reset();
  }
  EXPECT_TRUE(watch.expired());
}

TEST_F(Lifetime, NothingIsKeptIfNothingIsSaved) {
  auto owned = std::make_shared<int>(2);
  const at::Tensor y =
      checkpoint([owned](const at::Tensor& t) { return (t * *owned).sin(); }, values({3}));
  EXPECT_EQ(owned.use_count(), 1);
}

// ---- without gradient mode ---------------------------------------------------------------------------

TEST_F(Lifetime, WithoutGradModeTheCallIsPlain) {
  const at::NoGradGuard no_grad;
  auto owned = std::make_shared<int>(2);
  Calls calls;
  reset_peak();
  const at::Tensor y = checkpoint(
      [owned, &calls](const at::Tensor& t) {
        calls.count();
        return torch::dropout(t * *owned, 0.5, true).sin();
      },
      x_);
  EXPECT_EQ(calls.forward, 1);
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(live(), kOneTensor);
}

TEST_F(Lifetime, InInferenceModeTheCallIsPlain) {
  const c10::InferenceMode inference;
  const at::Tensor input = torch::ones({3});
  const at::Tensor y = checkpoint([](const at::Tensor& t) { return t.sin().sin(); }, input);
  EXPECT_TRUE(y.is_inference());
}

// Gradient mode switched on again inside belongs to the function, not to a region.
TEST_F(Lifetime, AFunctionThatEnablesGradModeItselfIsNotARegion) {
  Calls calls;
  at::Tensor y;
  {
    const at::NoGradGuard no_grad;
    y = checkpoint(
        [&calls](const at::Tensor& t) {
          const at::AutoGradMode grad(true);
          calls.count();
          return t.sin().sin();
        },
        x_);
  }
  y.sum().backward();
  EXPECT_EQ(calls.recomputed, 0);
}

// Breaks if: regions own each other through their inputs, and are destroyed recursively.
TEST_F(Lifetime, AChainOfManyRegionsIsDestroyedWithoutRecursion) {
  const at::Tensor small = leaf({1});
  for (const bool run_backward : {true, false}) {
    at::Tensor y = small;
    for (int i = 0; i < 20000; ++i) {
      y = checkpoint([](const at::Tensor& t) { return t.sin(); }, y);
    }
    if (run_backward) {
      torch::autograd::grad({y}, {small});
    }
  }
}

}  // namespace
}  // namespace remat

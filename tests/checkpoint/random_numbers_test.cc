// Random numbers: a recomputation draws what its forward drew, and nobody outside notices.
#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::bit_identical;
using testing::expect_same_call;
using testing::leaf;
using testing::Leaves;

at::Tensor dropped(const at::Tensor& x) { return torch::dropout(x.sin(), 0.5, true).sin(); }

// Breaks if: the recomputation draws fresh numbers (other masks).
TEST(RandomNumbers, RecomputationDrawsWhatForwardDrew) {
  expect_same_call(
      {leaf({300})}, [](const Leaves& l) { return dropped(l[0]); },
      [](const Leaves& l) { return checkpoint(dropped, l[0]); });
}

// Breaks if: each region does not restore its own start, or all restore the same.
TEST(RandomNumbers, EachRegionHasItsOwn) {
  expect_same_call(
      {leaf({300})}, [](const Leaves& l) { return dropped(l[0]) * dropped(l[0]); },
      [](const Leaves& l) { return checkpoint(dropped, l[0]) * checkpoint(dropped, l[0]); });
}

// Breaks if: the stream is left where the recomputation stopped drawing.
TEST(RandomNumbers, BackwardLeavesTheOuterStreamWhereItWas) {
  const at::Tensor x = leaf({300});
  torch::manual_seed(3);
  const at::Tensor y = checkpoint(dropped, x);
  torch::rand({17});
  const at::Tensor before = at::detail::getDefaultCPUGenerator().get_state();
  y.sum().backward();
  const at::Tensor after = at::detail::getDefaultCPUGenerator().get_state();
  EXPECT_TRUE(bit_identical(before, after));
}

TEST(RandomNumbers, ReseedingBetweenForwardAndBackwardChangesNothing) {
  const at::Tensor x = leaf({300});
  torch::manual_seed(3);
  const at::Tensor y = checkpoint(dropped, x);
  const auto expected = [&] {
    torch::manual_seed(3);
    return torch::autograd::grad({dropped(x).sum()}, {x})[0];
  }();
  torch::manual_seed(99);
  EXPECT_TRUE(bit_identical(torch::autograd::grad({y.sum()}, {x})[0], expected));
}

// Breaks if: a number drawn before the first in the region is not replayed, as when the state is
// taken at the first op that draws on one path and at entry on another.
TEST(RandomNumbers, OfAllKinds) {
  const auto fn = [](const at::Tensor& x) {
    at::Tensor y = x + torch::randn({x.size(0)});
    y = (y * torch::bernoulli(torch::full_like(x, 0.5))).sin();
    y = y * x.clone().uniform_();
    y = y.index_select(0, torch::randperm(x.size(0)));
    return torch::rrelu(y, 0.1, 0.9, /*training=*/true).sin();
  };
  expect_same_call(
      {leaf({64})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

TEST(RandomNumbers, DrawnInAFactoryBeforeAnyTensorArgument) {
  const auto fn = [](const at::Tensor& x) {
    const at::Tensor noise = torch::rand({8});
    return (x * noise).sin();
  };
  expect_same_call(
      {leaf({8})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

TEST(RandomNumbers, FromAGeneratorOfTheUser) {
  at::Generator generator = at::detail::createCPUGenerator(5);
  const auto fn = [&generator](const at::Tensor& x) {
    return (x * torch::rand({200}, generator)).sin();
  };
  const at::Tensor x = leaf({200});
  const at::Tensor y = checkpoint(fn, x);
  const at::Tensor after_forward = generator.get_state();
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  EXPECT_TRUE(bit_identical(generator.get_state(), after_forward));
  generator = at::detail::createCPUGenerator(5);
  EXPECT_TRUE(bit_identical(found, torch::autograd::grad({fn(x).sum()}, {x})[0]));
}

TEST(RandomNumbers, SeedingInsideTheRegionIsRepeatedThere) {
  const auto fn = [](const at::Tensor& x) {
    torch::manual_seed(11);
    return dropped(x);
  };
  expect_same_call(
      {leaf({300})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

// The one test in which the gradient may differ: the option is off, and has to have an effect.
TEST(RandomNumbers, AreNotPreservedOnRequest) {
  CheckpointOptions options;
  options.preserve_rng_state = false;
  const at::Tensor x = leaf({300});
  torch::manual_seed(3);
  const at::Tensor y = checkpoint(options, dropped, x);
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  torch::manual_seed(3);
  const auto expected = torch::autograd::grad({dropped(x).sum()}, {x})[0];
  EXPECT_FALSE(torch::equal(found, expected));
}

TEST(RandomNumbers, InTwoPassesOverInterleavedSteps) {
  const at::Tensor x = leaf({100});
  torch::manual_seed(3);
  const at::Tensor first = checkpoint(dropped, x), second = checkpoint(dropped, x);
  const auto of_second = torch::autograd::grad({second.sum()}, {x})[0];
  const auto of_first = torch::autograd::grad({first.sum()}, {x})[0];
  torch::manual_seed(3);
  EXPECT_TRUE(bit_identical(of_first, torch::autograd::grad({dropped(x).sum()}, {x})[0]));
  EXPECT_TRUE(bit_identical(of_second, torch::autograd::grad({dropped(x).sum()}, {x})[0]));
}

}  // namespace
}  // namespace remat

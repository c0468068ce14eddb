// The ways of running backward through a region: each gives what it gives without the region.
#include <vector>

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

at::Tensor two_sines(const at::Tensor& x, const at::Tensor& w) { return (x * w).sin().sin(); }

TEST(Backward, GivesThePlainGradients) {
  expect_same_call(
      {leaf({3, 4}, 1), leaf({3, 4}, 2)}, [](const Leaves& l) { return two_sines(l[0], l[1]); },
      [](const Leaves& l) { return checkpoint(two_sines, l[0], l[1]); });
}

// Breaks if: the region is an autograd node of its own, as a re-entrant checkpoint is.
TEST(Backward, TrainsParametersWhenNoInputRequiresGrad) {
  expect_same_call(
      {values({3, 4}), leaf({3, 4}, 2)}, [](const Leaves& l) { return two_sines(l[0], l[1]); },
      [](const Leaves& l) {
        const at::Tensor y =
            checkpoint([w = l[1]](const at::Tensor& x) { return two_sines(x, w); }, l[0]);
        EXPECT_TRUE(y.requires_grad());
        return y;
      });
}

TEST(Backward, OutputRequiresNoGradIfNothingDoes) {
  EXPECT_FALSE(checkpoint(two_sines, values({2}), values({2}, 2)).requires_grad());
}

TEST(Backward, AutogradGradTouchesNoGradFields) {
  const at::Tensor x = leaf({4}, 1), w = leaf({4}, 2);
  const at::Tensor y = checkpoint(two_sines, x, w);
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  const auto expected = torch::autograd::grad({two_sines(x, w).sum()}, {x})[0];
  EXPECT_TRUE(bit_identical(found, expected));
  EXPECT_FALSE(x.grad().defined());
  EXPECT_FALSE(w.grad().defined());
}

// Breaks if: recomputed tensors are kept for a second pass (count 1) or consumed by the first (throws).
TEST(Backward, RecomputesAgainForASecondPassOverARetainedGraph) {
  Calls calls;
  const at::Tensor x = leaf({4}, 1), w = leaf({4}, 2);
  const at::Tensor y = checkpoint(
      [&](const at::Tensor& t) {
        calls.count();
        return two_sines(t, w);
      },
      x);
  const auto first = torch::autograd::grad({y.sum()}, {x, w}, {}, /*retain_graph=*/true);
  EXPECT_EQ(calls.recomputed, 1);
  const auto second = torch::autograd::grad({y.sum()}, {x, w});
  EXPECT_EQ(calls.recomputed, 2);
  EXPECT_EQ(calls.forward, 1);
  const auto plain = torch::autograd::grad({two_sines(x, w).sum()}, {x, w});
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(bit_identical(first[i], plain[i])) << i;
    EXPECT_TRUE(bit_identical(second[i], plain[i])) << i;
  }
}

TEST(Backward, SecondPassOverAReleasedGraphIsAutogradsOwnError) {
  const at::Tensor x = leaf({4});
  const at::Tensor y = checkpoint(two_sines, x, x);
  y.sum().backward();
  const Recomputations recomputations;
  try {
    y.sum().backward();
    FAIL() << "no error";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("backward through the graph a second time"));
  }
  EXPECT_EQ(recomputations.count(), 0);
}

// torch.autograd.backward(inputs=...): a re-entrant checkpoint refuses it.
TEST(Backward, IntoChosenInputsOnly) {
  const at::Tensor x = leaf({4}, 1), w = leaf({4}, 2);
  const auto expected = torch::autograd::grad({two_sines(x, w).sum()}, {w})[0];
  const at::Tensor y = checkpoint(two_sines, x, w);
  const Recomputations recomputations;
  torch::autograd::backward({y.sum()}, {}, /*retain_graph=*/false, /*create_graph=*/false, {w});
  EXPECT_EQ(recomputations.count(), 1);
  EXPECT_TRUE(bit_identical(w.grad(), expected));
  EXPECT_FALSE(x.grad().defined());
}

// The second pass takes up where the first one stopped, at a tensor inside the region.
TEST(Backward, ToATensorInsideTheRegionAndFromThere) {
  const auto fn = [](const at::Tensor& x, const at::Tensor& w) {
    const at::Tensor middle = two_sines(x, w);
    return std::make_pair(middle, two_sines(middle, w));
  };
  const at::Tensor x = leaf({4}, 1), w = leaf({4}, 2);
  const auto [middle, y] = fn(x, w);
  const auto upper = torch::autograd::grad({y.sum()}, {middle})[0];
  const auto lower = torch::autograd::grad({middle}, {x}, {upper})[0];

  const auto [region_middle, region_y] = checkpoint(fn, x, w);
  const Recomputations recomputations;
  const auto found_upper = torch::autograd::grad({region_y.sum()}, {region_middle})[0];
  EXPECT_EQ(recomputations.count(), 1);
  const auto found_lower = torch::autograd::grad({region_middle}, {x}, {found_upper})[0];
  EXPECT_EQ(recomputations.count(), 2);
  EXPECT_TRUE(bit_identical(found_upper, upper));
  EXPECT_TRUE(bit_identical(found_lower, lower));
}

TEST(Backward, DropoutMasksAreTheSameInEveryPassOverARetainedGraph) {
  const at::Tensor x = leaf({200});
  const at::Tensor y =
      checkpoint([](const at::Tensor& t) { return torch::dropout(t.sin(), 0.5, true).sin(); }, x);
  const auto first = torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true)[0];
  torch::rand({3});
  const auto second = torch::autograd::grad({y.sum()}, {x})[0];
  EXPECT_TRUE(bit_identical(first, second));
}

TEST(Backward, ThroughOneOfTwoResultsOnly) {
  const auto fn = [](const at::Tensor& x, const at::Tensor& w) {
    return std::make_pair(two_sines(x, w), (x + w).cos().cos());
  };
  expect_same_call(
      {leaf({3}, 1), leaf({3}, 2)}, [&](const Leaves& l) { return fn(l[0], l[1]).second; },
      [&](const Leaves& l) { return checkpoint(fn, l[0], l[1]).second; });
}

// Breaks if: recomputed tensors carry no history, or the recomputation runs without grad mode.
TEST(Backward, DoubleBackwardGivesThePlainSecondDerivatives) {
  const auto second_derivatives = [](const at::Tensor& y, const Leaves& l) {
    const auto first = torch::autograd::grad({y.sum()}, {l[0], l[1]}, {}, /*retain_graph=*/true,
                                             /*create_graph=*/true);
    return first[0].square() + first[1];
  };
  expect_same_call(
      {leaf({5}, 1), leaf({5}, 2)},
      [&](const Leaves& l) { return second_derivatives(two_sines(l[0], l[1]), l); },
      [&](const Leaves& l) { return second_derivatives(checkpoint(two_sines, l[0], l[1]), l); }, 2);
}

TEST(Backward, DoubleBackwardRecomputesOncePerPass) {
  Calls calls;
  const at::Tensor x = leaf({5}, 1), w = leaf({5}, 2);
  const at::Tensor y = checkpoint(
      [&](const at::Tensor& t) {
        calls.count();
        return two_sines(t, w);
      },
      x);
  const auto g = torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true,
                                       /*create_graph=*/true)[0];
  EXPECT_EQ(calls.recomputed, 1);
  g.sum().backward();
  EXPECT_EQ(calls.recomputed, 2);
}

TEST(Backward, SecondDerivativeOfAMatrixProduct) {
  const auto fn = [](const at::Tensor& x, const at::Tensor& w) { return x.matmul(w).tanh(); };
  const auto penalty = [](const at::Tensor& y, const Leaves& l) {
    const auto g = torch::autograd::grad({y.sum()}, {l[0]}, {}, /*retain_graph=*/true,
                                         /*create_graph=*/true)[0];
    return y.sum() + g.square().sum();
  };
  expect_same_call(
      {leaf({3, 4}, 1), leaf({4, 2}, 2)},
      [&](const Leaves& l) { return penalty(fn(l[0], l[1]), l); },
      [&](const Leaves& l) { return penalty(checkpoint(fn, l[0], l[1]), l); }, 2);
}

// A gradient penalty inside the region: recomputation is asked for before the forward is complete.
class BackwardInsideForward : public ::testing::TestWithParam<bool> {};

at::Tensor weighted_by_its_gradient(const at::Tensor& x, const at::Tensor& w) {
  const at::Tensor y = two_sines(x, w);
  const auto g = torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true,
                                       /*create_graph=*/true)[0];
  return (y * g).sin();
}

TEST_P(BackwardInsideForward, GivesThePlainGradients) {
  CheckpointOptions options;
  options.early_stop = GetParam();
  expect_same_call(
      {leaf({4}, 1), leaf({4}, 2)},
      [](const Leaves& l) { return weighted_by_its_gradient(l[0], l[1]); },
      [&](const Leaves& l) { return checkpoint(options, weighted_by_its_gradient, l[0], l[1]); },
      2);
}

TEST_P(BackwardInsideForward, WithoutKeepingItsGraph) {
  const auto fn = [](const at::Tensor& x, const at::Tensor& w) {
    const auto g = torch::autograd::grad({two_sines(x, w).sum()}, {x})[0];
    return (two_sines(x, w) * g).sin();
  };
  CheckpointOptions options;
  options.early_stop = GetParam();
  expect_same_call(
      {leaf({4}, 1), leaf({4}, 2)}, [&](const Leaves& l) { return fn(l[0], l[1]); },
      [&](const Leaves& l) { return checkpoint(options, fn, l[0], l[1]); }, 2);
}

INSTANTIATE_TEST_SUITE_P(EarlyStop, BackwardInsideForward, ::testing::Bool());

// Breaks if: each region makes its own accumulation, as a re-entrant checkpoint does.
TEST(Backward, HooksOfASharedLeafRunOnce) {
  const at::Tensor x = leaf({4}, 1), w = leaf({4}, 2);
  int hook_calls = 0;
  w.register_hook([&hook_calls](const at::Tensor&) { ++hook_calls; });
  const at::Tensor y = checkpoint(two_sines, checkpoint(two_sines, x, w), w);
  y.sum().backward();
  EXPECT_EQ(hook_calls, 1);
}

TEST(Backward, HooksOfASharedLeafMayChangeItsGradient) {
  const auto with_hook = [](const Leaves& l) {
    l[1].register_hook([](const at::Tensor& g) { return g * 3; });
    return l[1];
  };
  expect_same_call(
      {leaf({4}, 1), leaf({4}, 2)},
      [&](const Leaves& l) {
        const at::Tensor w = with_hook(l);
        return two_sines(two_sines(l[0], w), w);
      },
      [&](const Leaves& l) {
        const at::Tensor w = with_hook(l);
        return checkpoint(two_sines, checkpoint(two_sines, l[0], w), w);
      },
      2);
}

/// What torch.distributed's reducer hangs on every parameter.
struct CountsAccumulations : torch::autograd::FunctionPostHook {
  explicit CountsAccumulations(int& count) : count_(count) {}
  torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                            const torch::autograd::variable_list&) override {
    ++count_;
    return outputs;
  }
  int& count_;
};

// Breaks if: a parameter is accumulated region by region ("marked ready twice").
TEST(Backward, HooksOfASharedParametersAccumulatorRunOnce) {
  torch::nn::Linear linear(4, 4);
  std::vector<std::shared_ptr<torch::autograd::Node>> accumulators;
  int accumulated = 0;
  for (const at::Tensor& parameter : linear->parameters()) {
    accumulators.push_back(torch::autograd::impl::grad_accumulator(parameter));
    accumulators.back()->add_post_hook(std::make_unique<CountsAccumulations>(accumulated));
  }
  auto fn = [linear](const at::Tensor& x) mutable { return linear(x).sin(); };
  const at::Tensor y = checkpoint(fn, checkpoint(fn, values({2, 4})));
  const Recomputations recomputations;
  y.sum().backward();
  EXPECT_EQ(accumulated, 2) << "weight and bias";
  EXPECT_EQ(recomputations.count(), 2);
}

TEST(Backward, AccumulatesIntoSharedParametersAsPlain) {
  expect_same_call(
      {leaf({4}, 1), leaf({4}, 2)},
      [](const Leaves& l) { return two_sines(two_sines(l[0], l[1]), l[1]); },
      [](const Leaves& l) {
        return checkpoint(two_sines, checkpoint(two_sines, l[0], l[1]), l[1]);
      },
      2);
}

TEST(Backward, UnderAnomalyMode) {
  const torch::autograd::DetectAnomalyGuard guard;
  expect_same_call(
      {leaf({4}, 1), leaf({4}, 2)}, [](const Leaves& l) { return two_sines(l[0], l[1]); },
      [](const Leaves& l) { return checkpoint(two_sines, l[0], l[1]); });
}

/// y = x^2, whose backward asks for its saved tensors twice.
struct ReadsSavedTwice : torch::autograd::Function<ReadsSavedTwice> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x) {
    context->save_for_backward({x});
    return x * x;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const at::Tensor once = context->get_saved_variables()[0];
    const at::Tensor twice = context->get_saved_variables()[0];
    return {gradients[0] * (once + twice)};
  }
};

// As custom functions do that write get_saved_variables()[0] here and there.
TEST(Backward, ASavedTensorMayBeReadTwice) {
  const auto fn = [](const at::Tensor& x) { return ReadsSavedTwice::apply(x.sin()).sin(); };
  expect_same_call(
      {leaf({4})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

// Nodes of a retained graph are not released: what they were given would stay until the pass ends.
TEST(Backward, ASavedTensorReadTwiceOverARetainedGraphIsRecomputedTwice) {
  const at::Tensor x = leaf({4});
  int recomputed = 0;
  const at::Tensor y = checkpoint(
      [&](const at::Tensor& t) {
        recomputed += is_recomputing();
        return ReadsSavedTwice::apply(t.sin());
      },
      x);
  const at::Tensor found = torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true)[0];
  EXPECT_EQ(recomputed, 2);
  EXPECT_TRUE(
      bit_identical(found, torch::autograd::grad({ReadsSavedTwice::apply(x.sin()).sum()}, {x})[0]));
}

TEST(Backward, DetachedAndNoGradPartsStayConstant) {
  const auto fn = [](const at::Tensor& x, const at::Tensor& w) {
    at::Tensor scale;
    {
      const at::NoGradGuard no_grad;
      scale = x.sin().mean();
    }
    return (x * scale + w.detach() * x).sin();
  };
  expect_same_call(
      {leaf({4}, 1), leaf({4}, 2)}, [&](const Leaves& l) { return fn(l[0], l[1]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0], l[1]); });
}

TEST(Backward, TwoSeparatePassesOverTwoRegions) {
  const at::Tensor x = leaf({4}, 1), w = leaf({4}, 2);
  const at::Tensor a = checkpoint(two_sines, x, w), b = checkpoint(two_sines, w, x);
  b.sum().backward();
  a.sum().backward();
  const at::Tensor found_x = x.grad().clone(), found_w = w.grad().clone();
  x.mutable_grad().reset();
  w.mutable_grad().reset();
  two_sines(w, x).sum().backward();
  two_sines(x, w).sum().backward();
  EXPECT_TRUE(bit_identical(found_x, x.grad()));
  EXPECT_TRUE(bit_identical(found_w, w.grad()));
}

}  // namespace
}  // namespace remat

// A tensor that a region reads and that changes in place between its forward and its recomputation:
// an error that names the tensor.
#include <map>
#include <optional>

#include <gmock/gmock.h>

#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/saved_tensor_hooks.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using ::testing::AllOf;
using testing::bit_identical;
using ::testing::HasSubstr;
using testing::leaf;
using testing::values;

void add_one_in_place(at::Tensor tensor) {
  const at::NoGradGuard no_grad;
  tensor.add_(1);
}

std::string backward_error(const at::Tensor& y) {
  try {
    y.sum().backward();
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "none";
}

// Breaks if: versions are not compared (autograd itself does not, under hooks).
TEST(ChangedAfterTheCall, AnArgumentIsAnErrorThatNamesIt) {
  const at::Tensor x = leaf({3, 4}, 1), w = leaf({3, 7}, 2);
  const auto fn = [](const at::Tensor& a, const at::Tensor& b) { return a.sin().mm(b.sin()); };
  const at::Tensor y = checkpoint(fn, x.t(), w);
  add_one_in_place(w);
  EXPECT_THAT(backward_error(y),
              AllOf(HasSubstr("inplace"), HasSubstr("(3, 7)"), HasSubstr("Float")));
}

TEST(ChangedAfterTheCall, AnArgumentInsideAListIsAnError) {
  const at::Tensor x = leaf({3}), mask = values({3}, 2);
  const auto fn = [](const std::vector<at::Tensor>& list) { return (list[0] * list[1]).sin(); };
  const at::Tensor y = checkpoint(fn, std::vector<at::Tensor>{x, mask});
  add_one_in_place(mask);
  EXPECT_THAT(backward_error(y), HasSubstr("inplace"));
}

TEST(ChangedAfterTheCall, AnArgumentInsideAMapIsAnError) {
  using Named = std::map<std::string, at::Tensor>;
  const at::Tensor x = leaf({3}), mask = values({3}, 2);
  const auto fn = [](const Named& named) { return (named.at("x") * named.at("mask")).sin(); };
  const at::Tensor y = checkpoint(fn, Named{{"x", x}, {"mask", mask}});
  add_one_in_place(mask);
  EXPECT_THAT(backward_error(y), HasSubstr("inplace"));
}

TEST(ChangedAfterTheCall, AnArgumentInsideAnOptionalIsAnError) {
  const at::Tensor x = leaf({3}), mask = values({3}, 2);
  const auto fn = [](const at::Tensor& t, const std::optional<at::Tensor>& by) {
    return (t * by.value()).sin();
  };
  const at::Tensor y = checkpoint(fn, x, std::optional<at::Tensor>(mask));
  add_one_in_place(mask);
  EXPECT_THAT(backward_error(y), AllOf(HasSubstr("input 1"), HasSubstr("inplace")));
}

TEST(ChangedAfterTheCall, AnArgumentInsideATupleIsAnError) {
  using Pair = std::tuple<at::Tensor, std::pair<int, at::Tensor>>;
  const at::Tensor x = leaf({3}), mask = values({3}, 2);
  const auto fn = [](const Pair& pair) {
    return (std::get<0>(pair) * std::get<1>(pair).second).sin();
  };
  const at::Tensor y = checkpoint(fn, Pair{x, {1, mask}});
  add_one_in_place(mask);
  EXPECT_THAT(backward_error(y), AllOf(HasSubstr("input 1"), HasSubstr("inplace")));
}

TEST(ChangedAfterTheCall, AnArgumentInsideAStructIsAnError) {
  struct Batch {
    at::Tensor x, mask;
  };
  const at::Tensor x = leaf({3}), mask = values({3}, 2);
  const auto fn = [](const Batch& batch) { return (batch.x * batch.mask).sin(); };
  const at::Tensor y = checkpoint(fn, Batch{x, mask});
  add_one_in_place(mask);
  EXPECT_THAT(backward_error(y), HasSubstr("inplace"));
}

// Breaks if: only arguments are watched. The optimizer's step before backward is the usual cause.
TEST(ChangedAfterTheCall, ACapturedWeightIsAnErrorThatNamesIt) {
  const at::Tensor x = leaf({3}), w = leaf({5, 3}, 2);
  const at::Tensor y =
      checkpoint([w](const at::Tensor& t) { return torch::linear(t, w).sin(); }, x);
  add_one_in_place(w);
  EXPECT_THAT(backward_error(y), AllOf(HasSubstr("inplace"), HasSubstr("(5, 3)")));
}

TEST(ChangedAfterTheCall, AWeightOfAModuleIsAnError) {
  torch::nn::Sequential layers(torch::nn::Linear(3, 3), torch::nn::Tanh(), torch::nn::Linear(3, 3));
  torch::optim::AdamW optimizer(layers->parameters());
  const at::Tensor first = checkpoint(layers, leaf({2, 3}, 1));
  const at::Tensor second = checkpoint(layers, leaf({2, 3}, 2));
  first.sum().backward();
  optimizer.step();
  EXPECT_THAT(backward_error(second), HasSubstr("inplace"));
}

// data() has a version of its own, so plain autograd does not see this either; torch::optim::SGD
// writes in this way.
TEST(ChangedAfterTheCall, WritesThroughDataAreFoundByValueChecks) {
  CheckpointOptions options;
  options.determinism = Determinism::kValues;
  const at::Tensor x = leaf({3}), w = leaf({3}, 2);
  const at::Tensor y = checkpoint(
      options, [w](const at::Tensor& t) { return (t * w).sin(); }, x);
  w.data().add_(1);
  EXPECT_NE(backward_error(y), "none");
}

TEST(ChangedAfterTheCall, AViewOfACapturedTensorCountsAsTheTensor) {
  const at::Tensor x = leaf({3}), table = values({4, 3}, 2);
  const at::Tensor y =
      checkpoint([row = table[1]](const at::Tensor& t) { return (t * row).sin(); }, x);
  add_one_in_place(table[1]);
  EXPECT_THAT(backward_error(y), HasSubstr("inplace"));
}

TEST(ChangedAfterTheCall, AnArgumentOfAnInnerRegionIsAnError) {
  const at::Tensor x = leaf({3}), w = leaf({3}, 2);
  const auto inner = [](const at::Tensor& a, const at::Tensor& b) { return (a * b).sin().sin(); };
  const auto outer = [&](const at::Tensor& t) { return checkpoint(inner, t.cos(), w); };
  const at::Tensor y = checkpoint(outer, x);
  add_one_in_place(w);
  EXPECT_THAT(backward_error(y), HasSubstr("inplace"));
}

// PyTorch gives a silent wrong gradient here.
TEST(ChangedAfterTheCall, AnArgumentUnderOuterHooksIsAnError) {
  const at::Tensor x = leaf({3}), mask = values({3}, 2);
  const SavedTensorHooks outer([](const at::Tensor& t) -> std::any { return t; },
                               [](const std::any& a) { return std::any_cast<at::Tensor>(a); });
  const at::Tensor y =
      checkpoint([](const at::Tensor& a, const at::Tensor& b) { return (a * b).sin(); }, x, mask);
  add_one_in_place(mask);
  EXPECT_THAT(backward_error(y), HasSubstr("inplace"));
}

// The copy would be right; but the function may have read the tensor as a captured one as well.
TEST(ChangedAfterTheCall, AnArgumentThatOuterHooksCopiedIsAnErrorToo) {
  const at::Tensor x = leaf({3}), w = leaf({3}, 2);
  const SavedTensorHooks outer([](const at::Tensor& t) -> std::any { return t.clone(); },
                               [](const std::any& a) { return std::any_cast<at::Tensor>(a); });
  const at::Tensor y =
      checkpoint([](const at::Tensor& a, const at::Tensor& b) { return (a * b).sin(); }, x, w);
  add_one_in_place(x);
  EXPECT_THAT(backward_error(y), HasSubstr("argument 'self' of aten::mul"));
}

// Breaks if: the function is called with what it must not see.
TEST(ChangedAfterTheCall, TheErrorComesBeforeTheFunctionIsCalled) {
  testing::Calls calls;
  const at::Tensor x = leaf({3}), mask = values({3}, 2), captured = values({3}, 3);
  const auto fn = [&calls, captured](const at::Tensor& t, const at::Tensor& by) {
    calls.count();
    return (t * by).sin() * captured;
  };
  const at::Tensor first = checkpoint(fn, x, mask), second = checkpoint(fn, x, mask.clone());
  add_one_in_place(mask);
  EXPECT_THAT(backward_error(first), HasSubstr("inplace"));
  add_one_in_place(captured);
  EXPECT_THAT(backward_error(second), HasSubstr("inplace"));
  EXPECT_EQ(calls.recomputed, 0);
}

TEST(ChangedAfterTheCall, TheErrorIsTheSameInEveryPass) {
  const at::Tensor x = leaf({3}), w = leaf({3}, 2);
  const at::Tensor y = checkpoint([w](const at::Tensor& t) { return (t * w).sin(); }, x);
  add_one_in_place(w);
  EXPECT_THROW(torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true), CheckpointError);
  EXPECT_THROW(torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true), CheckpointError);
  EXPECT_FALSE(is_recomputing());
}

// Between two passes over one retained graph.
TEST(ChangedAfterTheCall, ChangesAfterTheFirstPassAreFoundByTheSecond) {
  const at::Tensor x = leaf({3}), w = leaf({3}, 2);
  const at::Tensor y = checkpoint([w](const at::Tensor& t) { return (t * w).sin(); }, x);
  torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true);
  add_one_in_place(w);
  EXPECT_THROW(torch::autograd::grad({y.sum()}, {x}), CheckpointError);
}

// Breaks if: every outside tensor is kept or compared by value rather than by version.
TEST(ChangedAfterTheCall, ATensorThatTheRegionDoesNotReadMayChange) {
  const at::Tensor x = leaf({3}), unrelated = values({3}, 2);
  const at::Tensor y =
      checkpoint([unrelated](const at::Tensor& t) { return (t * t.size(0)).sin(); }, x);
  add_one_in_place(unrelated);
  EXPECT_EQ(backward_error(y), "none");
}

TEST(ChangedAfterTheCall, AnOptimizerStepBetweenWholeStepsIsNoError) {
  torch::nn::Linear linear(3, 3);
  torch::optim::SGD optimizer(linear->parameters(), /*lr=*/0.1);
  for (int step = 0; step < 3; ++step) {
    optimizer.zero_grad();
    EXPECT_EQ(backward_error(checkpoint(linear, values({2, 3})).sin()), "none");
    optimizer.step();
  }
}

}  // namespace
}  // namespace remat

// Anything that can be called, and LibTorch's modules, whose forward is called.
#include <functional>
#include <memory>

#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "tests/testing/recomputations.h"
#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::bit_identical;
using testing::expect_same_call;
using testing::leaf;
using testing::Leaves;
using testing::Recomputations;
using testing::values;

at::Tensor twice_sine(const at::Tensor& x) { return x.sin().sin(); }

at::Tensor gradient(const at::Tensor& y, const at::Tensor& x, bool retain_graph = false) {
  return torch::autograd::grad({y.sum()}, {x}, {}, retain_graph)[0];
}

/// The gradient of the result of one region, which must take one recomputation.
at::Tensor region_gradient(const at::Tensor& y, const at::Tensor& x, bool retain_graph = false) {
  const Recomputations recomputations;
  const at::Tensor found = gradient(y, x, retain_graph);
  EXPECT_EQ(recomputations.count(), 1);
  return found;
}

at::Tensor plain_gradient(const at::Tensor& x) { return gradient(twice_sine(x), x); }

TEST(Callables, FunctionsAndFunctionPointers) {
  const at::Tensor x = leaf({3});
  at::Tensor (*pointer)(const at::Tensor&) = twice_sine;
  EXPECT_TRUE(bit_identical(region_gradient(checkpoint(twice_sine, x), x), plain_gradient(x)));
  EXPECT_TRUE(bit_identical(region_gradient(checkpoint(&twice_sine, x), x), plain_gradient(x)));
  EXPECT_TRUE(bit_identical(region_gradient(checkpoint(pointer, x), x), plain_gradient(x)));
}

TEST(Callables, StdFunctionAndStdRef) {
  const at::Tensor x = leaf({3});
  const std::function<at::Tensor(const at::Tensor&)> function = twice_sine;
  EXPECT_TRUE(bit_identical(region_gradient(checkpoint(function, x), x), plain_gradient(x)));
  EXPECT_TRUE(
      bit_identical(region_gradient(checkpoint(std::ref(function), x), x), plain_gradient(x)));
}

// Breaks if: the callable is kept after the first call changed it.
TEST(Callables, MutableLambdasStartAgainFromTheStateOfTheCall) {
  const at::Tensor x = leaf({3});
  auto fn = [n = 1](const at::Tensor& t) mutable {
    ++n;
    return (t * n).sin().sin();
  };
  const at::Tensor first = checkpoint(fn, x), second = checkpoint(fn, x);
  EXPECT_TRUE(bit_identical(region_gradient(second, x), gradient((x * 3).sin().sin(), x)));
  EXPECT_TRUE(bit_identical(region_gradient(first, x, true), gradient((x * 2).sin().sin(), x)));
  EXPECT_TRUE(bit_identical(region_gradient(first, x), gradient((x * 2).sin().sin(), x)))
      << "in the second recomputation";
}

TEST(Callables, ThatCanOnlyBeMoved) {
  const at::Tensor x = leaf({3});
  auto fn = [factor = std::make_unique<double>(2)](const at::Tensor& t) {
    return (t * *factor).sin().sin();
  };
  const at::Tensor y = checkpoint(std::move(fn), x);
  EXPECT_TRUE(bit_identical(region_gradient(y, x, true), gradient((x * 2.0).sin().sin(), x)));
  EXPECT_TRUE(bit_identical(region_gradient(y, x), gradient((x * 2.0).sin().sin(), x)));
}

// Breaks if: a reference to the callable is kept instead of a copy.
TEST(Callables, AreKeptWhenTheirScopeEnds) {
  const at::Tensor x = leaf({3});
  at::Tensor y;
  {
    std::vector<double> factors(100, 2.0);
    const auto fn = [factors](const at::Tensor& t) { return (t * factors[99]).sin().sin(); };
    y = checkpoint(fn, x);
  }
  EXPECT_TRUE(bit_identical(region_gradient(y, x), gradient((x * 2.0).sin().sin(), x)));
}

TEST(Callables, MemberFunctions) {
  struct Scaler {
    double factor;
    at::Tensor apply(const at::Tensor& t) const { return (t * factor).sin().sin(); }
  } scaler{3};
  const at::Tensor x = leaf({3});
  EXPECT_TRUE(bit_identical(region_gradient(checkpoint(&Scaler::apply, &scaler, x), x),
                            gradient((x * 3.0).sin().sin(), x)));
}

// ---- modules -----------------------------------------------------------------------------------------

/// Expects a region of `module` to give the gradients of calling its forward.
template <class Module, class Forward>
void expect_module_region(Module& module, const std::vector<at::Tensor>& parameters,
                          const Forward& forward) {
  const at::Tensor x = values({2, 3});
  const auto expected = torch::autograd::grad({forward(x).square().sum()}, parameters);
  const Recomputations recomputations;
  const auto found = torch::autograd::grad({checkpoint(module, x).square().sum()}, parameters);
  EXPECT_EQ(recomputations.count(), 1);
  ASSERT_FALSE(expected.empty());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(bit_identical(expected[i], found[i])) << i;
  }
}

TEST(Callables, ModuleHolder) {
  torch::nn::Linear linear(3, 4);
  expect_module_region(linear, linear->parameters(), [&](auto& x) { return linear(x); });
}

TEST(Callables, ConstModuleHolder) {
  torch::nn::Linear linear(3, 4);
  const torch::nn::Linear& constant = linear;
  expect_module_region(constant, linear->parameters(), [&](auto& x) { return linear(x); });
}

TEST(Callables, TemporaryModuleHolder) {
  const at::Tensor x = leaf({2, 3});
  torch::manual_seed(3);
  torch::nn::Linear kept(3, 4);
  torch::manual_seed(3);
  const at::Tensor y = checkpoint(torch::nn::Linear(3, 4), x).sin();
  EXPECT_TRUE(bit_identical(region_gradient(y, x), gradient(kept->forward(x).sin(), x)));
}

TEST(Callables, Sequential) {
  torch::nn::Sequential layers(torch::nn::Linear(3, 4), torch::nn::Tanh(), torch::nn::Linear(4, 2));
  expect_module_region(layers, layers->parameters(), [&](auto& x) { return layers->forward(x); });
}

TEST(Callables, AnyModule) {
  torch::nn::Linear linear(3, 4);
  torch::nn::AnyModule any(linear);
  expect_module_region(any, linear->parameters(), [&](auto& x) { return linear(x); });
}

TEST(Callables, SharedPointerToAModule) {
  const auto linear = std::make_shared<torch::nn::LinearImpl>(3, 4);
  expect_module_region(linear, linear->parameters(), [&](auto& x) { return linear->forward(x); });
}

struct TwoArgumentsImpl : torch::nn::Module {
  TwoArgumentsImpl() { register_module("linear", linear); }
  std::pair<at::Tensor, int> forward(const at::Tensor& x, double scale,
                                     const at::Tensor& mask = {}) {
    const at::Tensor y = linear(x * scale).tanh();
    return {mask.defined() ? y * mask : y, 5};
  }
  torch::nn::Linear linear{3, 3};
};
TORCH_MODULE(TwoArguments);

TEST(Callables, AModuleOfOnesOwnWithMoreArguments) {
  TwoArguments module;
  const at::Tensor x = leaf({2, 3});
  const auto [y, five] = checkpoint(module, x, 0.5);
  EXPECT_EQ(five, 5);
  EXPECT_TRUE(bit_identical(region_gradient(y, x), gradient(module->forward(x, 0.5).first, x)));
}

TEST(Callables, LstmWithItsTupleResult) {
  torch::nn::LSTM lstm(torch::nn::LSTMOptions(3, 4));
  const at::Tensor x = leaf({5, 2, 3});
  const auto [y, state] = checkpoint(lstm, x);
  const at::Tensor cell = std::get<1>(state);
  const Recomputations recomputations;
  const auto found = torch::autograd::grad({y.sum() + cell.sum()}, {x})[0];
  EXPECT_EQ(recomputations.count(), 1);
  const auto [plain_y, plain_state] = lstm->forward(x);
  const auto expected =
      torch::autograd::grad({plain_y.sum() + std::get<1>(plain_state).sum()}, {x})[0];
  EXPECT_TRUE(bit_identical(found, expected));
}

// ---- options -----------------------------------------------------------------------------------------

int runs_to_the_end(const at::Tensor& y, int& counter) {
  y.sum().backward();
  return counter;
}

/// Counts how often it gets past its last saved tensor and an op after it.
struct CountsEnds {
  int& ends;
  at::Tensor operator()(const at::Tensor& x) const {
    const at::Tensor y = x.sin() + 1;
    ++ends;
    return y;
  }
};

// Breaks if: an lvalue of options is taken for a callable.
TEST(Options, MayBeAnLvalueAConstantOrATemporary) {
  CheckpointOptions options;
  options.early_stop = false;
  const CheckpointOptions& constant = options;
  int ends = 0;
  const CountsEnds fn{ends};
  const at::Tensor x = leaf({3});
  EXPECT_EQ(runs_to_the_end(checkpoint(options, fn, x), ends), 2);
  EXPECT_EQ(runs_to_the_end(checkpoint(constant, fn, x), ends), 4);
  EXPECT_EQ(runs_to_the_end(checkpoint(CheckpointOptions(options), fn, x), ends), 6);
  EXPECT_EQ(runs_to_the_end(checkpoint(fn, x), ends), 7) << "early stop is on by default";
}

TEST(Options, MayBeDesignated) {
  int ends = 0;
  const CountsEnds fn{ends};
  const at::Tensor x = leaf({3});
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
  const at::Tensor y =
      checkpoint({.preserve_rng_state = false, .early_stop = false, .name = "a"}, fn, x);
#pragma GCC diagnostic pop
  EXPECT_EQ(runs_to_the_end(y, ends), 2);
}

// Breaks if: options are read at backward.
TEST(Options, AreThoseOfTheCall) {
  CheckpointOptions options;
  options.early_stop = false;
  int ends = 0;
  const at::Tensor x = leaf({3});
  const at::Tensor y = checkpoint(options, CountsEnds{ends}, x);
  options.early_stop = true;
  EXPECT_EQ(runs_to_the_end(y, ends), 2);
}

}  // namespace
}  // namespace remat

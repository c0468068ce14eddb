// TorchScript: a compiled module as a region's callable, or called by its function. TorchScript profiles a
// function when it is called for the first time and compiles it, with other saved tensors, for the second.
#include <gmock/gmock.h>

#include <torch/jit.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/saved_tensor_hooks.h>

#include "tests/testing/recomputations.h"
#include "tests/testing/trace.h"

namespace remat {
namespace {

using ::testing::AllOf;
using testing::bit_identical;
using ::testing::HasSubstr;
using testing::leaf;
using testing::Recomputations;
using testing::values;

using Inputs = std::vector<c10::IValue>;

// Compiled, softmax saves its argument as well, which has the size of all other tensors.
constexpr char kSoftmax[] = R"(
def forward(self, x):
    y = torch.softmax(x * self.w, 0)
    return torch.sin(torch.tanh(y))
)";
constexpr char kBranchesAndLoops[] = R"(
def forward(self, x):
    y = x
    for i in range(3):
        y = torch.tanh(y * self.w)
        if bool((y.sum() > 0).item()):
            y = torch.layer_norm(y, [6]) + self.w
    return y
)";
constexpr char kDropout[] = R"(
def forward(self, x):
    return torch.dropout(torch.sin(x * self.w), 0.5, True).sin()
)";

/// A module of one parameter `w`, of six numbers, and a forward with this source.
torch::jit::Module compiled(const char* source) {
  torch::jit::Module module("compiled");
  module.register_parameter("w", leaf({6}, 2), /*is_buffer=*/false);
  module.define(source);
  return module;
}

at::Tensor weight_of(const torch::jit::Module& module) { return module.attr("w").toTensor(); }

struct Gradients {
  at::Tensor output, of_input, of_weight;
};

/// Output and gradients of `call(module, x)`.
template <class Call>
Gradients gradients(torch::jit::Module& module, const Call& call, std::uint64_t seed) {
  const at::Tensor x = leaf({6}, seed);
  torch::manual_seed(seed);
  const at::Tensor y = call(module, x);
  const auto found = torch::autograd::grad({y.square().sum()}, {x, weight_of(module)});
  return {y.detach(), found[0], found[1]};
}

at::Tensor plainly(torch::jit::Module& module, const at::Tensor& x) {
  return module.forward({x}).toTensor();
}
at::Tensor as_the_callable(torch::jit::Module& module, const at::Tensor& x) {
  return checkpoint(module, Inputs{x}).toTensor();
}
at::Tensor called_inside(torch::jit::Module& module, const at::Tensor& x) {
  return checkpoint([&](const at::Tensor& t) { return module.forward({t.sin()}).toTensor().cos(); },
                    x);
}
at::Tensor plainly_inside(torch::jit::Module& module, const at::Tensor& x) {
  return module.forward({x.sin()}).toTensor().cos();
}

using Run = at::Tensor (*)(torch::jit::Module&, const at::Tensor&);

struct Case {
  const char* name;
  const char* source;
  Run plain, checkpointed;
};
std::ostream& operator<<(std::ostream& out, const Case& test) { return out << test.name; }

const Case kCases[] = {
    {"SoftmaxAsTheCallable", kSoftmax, plainly, as_the_callable},
    {"SoftmaxCalledInside", kSoftmax, plainly_inside, called_inside},
    {"BranchesAndLoopsAsTheCallable", kBranchesAndLoops, plainly, as_the_callable},
    {"BranchesAndLoopsCalledInside", kBranchesAndLoops, plainly_inside, called_inside},
    {"DropoutAsTheCallable", kDropout, plainly, as_the_callable},
    {"DropoutCalledInside", kDropout, plainly_inside, called_inside},
};

class TorchScript : public ::testing::TestWithParam<Case> {};

// Compiled by two calls with gradients, the module does the same in every pass.
TEST_P(TorchScript, OnceCompiledGivesThePlainGradients) {
  torch::jit::Module plain = compiled(GetParam().source), module = compiled(GetParam().source);
  for (const std::uint64_t seed : {11, 12}) {
    gradients(plain, GetParam().plain, seed);
    gradients(module, GetParam().plain, seed);
  }
  for (const std::uint64_t seed : {21, 22, 23}) {
    const Gradients expected = gradients(plain, GetParam().plain, seed);
    const Recomputations recomputations;
    const Gradients found = gradients(module, GetParam().checkpointed, seed);
    EXPECT_EQ(recomputations.count(), 1);
    EXPECT_TRUE(bit_identical(expected.output, found.output));
    EXPECT_TRUE(bit_identical(expected.of_input, found.of_input));
    EXPECT_TRUE(bit_identical(expected.of_weight, found.of_weight));
  }
}

// The forward is the call that is profiled, the recomputation the first one that is compiled.
// Breaks if: only sizes and counts are compared (softmax: a silent wrong gradient).
TEST_P(TorchScript, BeforeItIsCompiledIsAnErrorThatTellsWhatToDo) {
  torch::jit::Module module = compiled(GetParam().source);
  try {
    gradients(module, GetParam().checkpointed, 31);
    FAIL() << "no error";
  } catch (const CheckpointError& error) {
    EXPECT_THAT(error.what(), HasSubstr("TorchScript"));
  }
}

INSTANTIATE_TEST_SUITE_P(Modules, TorchScript, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

TEST(TorchScriptFunctions, CalledInsideARegion) {
  const auto unit = torch::jit::compile("def f(x, w):\n    return torch.sin(torch.tanh(x * w))\n");
  const auto fn = [unit](const at::Tensor& x, const at::Tensor& w) {
    return unit->run_method("f", x, w).toTensor().cos();
  };
  const testing::Leaves leaves = {leaf({6}), leaf({6}, 2)};
  const auto plain = [&](const testing::Leaves& l) { return fn(l[0], l[1]); };
  for (int warm_up = 0; warm_up < 2; ++warm_up) {
    testing::trace_call(leaves, plain);
  }
  testing::expect_same_call(leaves, plain,
                            [&](const testing::Leaves& l) { return checkpoint(fn, l[0], l[1]); });
}

// ---- arguments in IValues ----------------------------------------------------------------------------

at::Tensor product(const Inputs& inputs) {
  return (inputs[0].toTensor() * inputs[1].toTensor() * inputs[2].toDouble()).sin();
}

TEST(IValueArguments, GiveThePlainGradients) {
  testing::expect_same_call(
      {leaf({3}), leaf({3}, 2)},
      [](const testing::Leaves& l) {
        return product({l[0], l[1], 2.0});
      },
      [](const testing::Leaves& l) {
        return checkpoint(product, Inputs{l[0], l[1], 2.0});
      });
}

// Breaks if: the tensors in them are not seen (they would then be kept past the hooks around the region).
TEST(IValueArguments, BelongToTheHooksAroundTheRegion) {
  const at::Tensor x = leaf({3}), w = leaf({3}, 2);
  int packed = 0;
  const SavedTensorHooks outer(
      [&packed](const at::Tensor& t) -> std::any {
        ++packed;
        return t.clone();
      },
      [](const std::any& a) { return std::any_cast<at::Tensor>(a); });
  const at::Tensor y = checkpoint(product, Inputs{x, w, 2.0});
  EXPECT_EQ(packed, 2);
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  const auto expected = torch::autograd::grad({(x * w * 2.0).sin().sum()}, {x})[0];
  EXPECT_TRUE(bit_identical(found, expected));
}

std::string error_after_changing(at::Tensor mask, const at::Tensor& y) {
  mask.add_(1);
  const Recomputations recomputations;
  try {
    y.sum().backward();
  } catch (const CheckpointError& error) {
    EXPECT_EQ(recomputations.count(), 0);
    return error.what();
  }
  return "none";
}

TEST(IValueArguments, ChangedAfterTheCallAreErrors) {
  const at::Tensor x = leaf({3}), mask = values({3}, 2);
  EXPECT_THAT(error_after_changing(mask, checkpoint(product, Inputs{x, mask, 2.0})),
              AllOf(HasSubstr("input 1"), HasSubstr("inplace")));
}

// A list in an IValue is shared, not copied; its tensors are watched as captured ones are.
TEST(IValueArguments, InListsChangedAfterTheCallAreErrors) {
  const at::Tensor x = leaf({3}), mask = values({3}, 2);
  const auto fn = [](const Inputs& inputs) {
    const auto list = inputs[0].toTensorVector();
    return (list[0] * list[1]).sin();
  };
  const c10::List<at::Tensor> list({x, mask});
  EXPECT_THAT(error_after_changing(mask, checkpoint(fn, Inputs{list})), HasSubstr("inplace"));
}

}  // namespace
}  // namespace remat

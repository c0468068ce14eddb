// Random numbers: a recomputation draws what its forward drew, and nobody outside notices.
#include <mutex>

#include <gmock/gmock.h>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/library.h>
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
      [](const Leaves& l) { return checkpoint(dropped, l[0]) * checkpoint(dropped, l[0]); }, 2);
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

// ---- draws that no generator argument shows -------------------------------------------------------

/// An operator of another library that draws from the default generator in code of its own.
at::Tensor foreign_noise(const at::Tensor& like) {
  const at::Generator& generator = at::detail::getDefaultCPUGenerator();
  auto* cpu = at::check_generator<at::CPUGeneratorImpl>(generator);
  std::lock_guard<std::mutex> lock(cpu->mutex_);
  at::Tensor noise = torch::empty_like(like, at::TensorOptions().requires_grad(false));
  for (std::int64_t i = 0; i < noise.numel(); ++i) {
    noise.data_ptr<float>()[i] = static_cast<float>(cpu->random() % 1000);
  }
  return noise;
}

/// One that draws by itself before and after drawing by LibTorch's operators.
at::Tensor foreign_mixture(const at::Tensor& like) {
  const at::Tensor first = foreign_noise(like);
  return torch::dropout(first, 0.5, true) * foreign_noise(like) + torch::rand_like(first);
}

TORCH_LIBRARY(remat_test, m) {
  m.def("noise(Tensor like) -> Tensor", &foreign_noise);
  m.def("mixture(Tensor like) -> Tensor", &foreign_mixture);
}

at::Tensor call_foreign(const char* op, const at::Tensor& like) {
  return c10::Dispatcher::singleton()
      .findSchemaOrThrow(op, "")
      .typed<at::Tensor(const at::Tensor&)>()
      .call(like);
}

// Breaks if: only operators with a generator argument are replayed.
TEST(RandomNumbers, OfAnOperatorOfAnotherLibrary) {
  const auto fn = [](const at::Tensor& x) {
    at::Tensor y = torch::dropout(x.sin(), 0.5, true);
    y = (y * call_foreign("remat_test::noise", y)).sin();
    y = torch::dropout(y, 0.5, true).sin();
    y = (y * call_foreign("remat_test::mixture", y)).sin();
    return (torch::dropout(y, 0.5, true) * call_foreign("remat_test::noise", y)).cos();
  };
  expect_same_call(
      {leaf({64})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
  expect_same_call(
      {leaf({64})}, [&](const Leaves& l) { return fn(fn(l[0])); },
      [&](const Leaves& l) {
        return checkpoint([&](const at::Tensor& x) { return checkpoint(fn, checkpoint(fn, x)); },
                          l[0]);
      },
      3);
}

TEST(RandomNumbers, OfTwoGeneratorsInTurn) {
  const auto fn = [](at::Generator generator, const at::Tensor& x) {
    at::Tensor y = x;
    for (int i = 0; i < 3; ++i) {
      y = (y * torch::rand({50}, generator)).sin();
      y = torch::dropout(y, 0.5, true).sin();
    }
    return y;
  };
  expect_same_call(
      {leaf({50})}, [&](const Leaves& l) { return fn(at::detail::createCPUGenerator(5), l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, at::detail::createCPUGenerator(5), l[0]); });
}

// Normal numbers come in pairs: the second waits in the generator for the next call.
TEST(RandomNumbers, NormalOnesLeftOverFromAPair) {
  const auto fn = [](const at::Tensor& x) {
    at::Tensor y = (x * torch::randn({3})).sin();
    return (y * torch::randn({1})).sin();
  };
  const auto with_odd_start = [](const auto& call) {
    torch::randn({1});
    return call();
  };
  expect_same_call(
      {leaf({3})}, [&](const Leaves& l) { return with_odd_start([&] { return fn(l[0]); }); },
      [&](const Leaves& l) { return with_odd_start([&] { return checkpoint(fn, l[0]); }); });
}

TEST(RandomNumbers, ASeedOfAGeneratorOfTheUserIsRepeatedThere) {
  at::Generator generator = at::detail::createCPUGenerator(5);
  const auto fn = [&](const at::Tensor& x) {
    generator.set_current_seed(8);
    return (x * torch::rand({20}, generator)).sin();
  };
  const at::Tensor x = leaf({20});
  const at::Tensor y = checkpoint(fn, x);
  torch::rand({3}, generator);
  const at::Tensor before = generator.get_state();
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  EXPECT_TRUE(bit_identical(generator.get_state(), before));
  EXPECT_TRUE(bit_identical(found, torch::autograd::grad({fn(x).sum()}, {x})[0]));
}

TEST(RandomNumbers, AStateThatTheFunctionSetsIsUndoneAfterRecomputation) {
  torch::manual_seed(77);
  torch::rand({7});
  const at::Tensor state = at::detail::getDefaultCPUGenerator().get_state();
  const auto fn = [&](const at::Tensor& x) {
    at::Generator generator = at::detail::getDefaultCPUGenerator();
    generator.set_state(state);
    return dropped(x);
  };
  expect_same_call(
      {leaf({300})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

// A device of which LibTorch knows no generator. The operator is refused before it runs.
TEST(RandomNumbers, OfADeviceThatCannotBeRestoredAreRefusedByName) {
  const at::Tensor there = at::detail::make_tensor<c10::TensorImpl>(
      c10::DispatchKeySet(c10::DispatchKey::HPU), caffe2::TypeMeta::Make<float>(),
      c10::Device(c10::kHPU, 0));
  const auto draw = [&](const at::Tensor& x) {
    there.uniform_();
    return x.sin();
  };
  try {
    checkpoint(draw, leaf({3}));
    FAIL() << "was not refused";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::AllOf(::testing::HasSubstr("aten::uniform_"),
                                               ::testing::HasSubstr("hpu:0"),
                                               ::testing::HasSubstr("preserve_rng_state")));
  }
}

}  // namespace
}  // namespace remat

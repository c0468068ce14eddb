// SavedTensorHooks: torch.autograd.graph.saved_tensors_hooks for C++.
#include <stdexcept>
#include <thread>

#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/memory.h>
#include <remat/saved_tensor_hooks.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::bit_identical;
using testing::Calls;
using testing::leaf;
using testing::values;

/// How often each function was called.
struct Uses {
  int packed = 0;
  int unpacked = 0;
};

SavedTensorHooks::Pack counting_pack(Uses& uses) {
  return [&uses](const at::Tensor& t) -> std::any {
    ++uses.packed;
    return t.clone();
  };
}

SavedTensorHooks::Unpack counting_unpack(Uses& uses) {
  return [&uses](const std::any& a) {
    ++uses.unpacked;
    return std::any_cast<at::Tensor>(a);
  };
}

at::Tensor gradient(const at::Tensor& y, const at::Tensor& x) {
  return torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true)[0];
}

TEST(SavedTensorHooks, PackWhatIsSavedAndUnpackItForBackward) {
  Uses uses;
  const at::Tensor x = leaf({3});
  const SavedTensorHooks guard(counting_pack(uses), counting_unpack(uses));
  const at::Tensor y = x.sin().cos();
  EXPECT_EQ(uses.packed, 2);
  EXPECT_EQ(uses.unpacked, 0);
  const at::Tensor found = gradient(y, x);
  EXPECT_EQ(uses.unpacked, 2);
  EXPECT_TRUE(bit_identical(found, gradient(x.sin().cos(), x)));
}

// Breaks if: unpack's result is not what backward computes with.
TEST(SavedTensorHooks, BackwardUsesWhatUnpackReturns) {
  const at::Tensor x = leaf({3});
  const SavedTensorHooks guard([](const at::Tensor& t) -> std::any { return t.sizes().vec(); },
                               [](const std::any& a) {
                                 return torch::full(std::any_cast<std::vector<std::int64_t>>(a),
                                                    7.0);
                               });
  const at::Tensor y = x.sin();
  EXPECT_TRUE(torch::allclose(gradient(y, x), torch::full({3}, 7.0).cos()));
}

TEST(SavedTensorHooks, RoundTripThroughBFloat16) {
  const at::Tensor x = leaf({30});
  at::Tensor y;
  {
    const SavedTensorHooks guard(
        [](const at::Tensor& t) -> std::any { return t.to(at::kBFloat16); },
        [](const std::any& a) { return std::any_cast<at::Tensor>(a).to(at::kFloat); });
    y = x.square();
  }
  const at::Tensor expected = 2 * x.detach().to(at::kBFloat16).to(at::kFloat);
  EXPECT_TRUE(bit_identical(gradient(y, x), expected));
}

TEST(SavedTensorHooks, HalveTheMemoryOfWhatIsSaved) {
  const MemoryTracker tracker;
  const at::Tensor x = leaf({1000});
  const Bytes before = tracker.live_bytes();
  const SavedTensorHooks guard(
      [](const at::Tensor& t) -> std::any { return t.to(at::kBFloat16); },
      [](const std::any& a) { return std::any_cast<at::Tensor>(a).to(at::kFloat); });
  const at::Tensor y = (x * 2).sin();
  EXPECT_EQ(tracker.live_bytes() - before, Bytes(4000 + 2000))
      << "y, and the saved x * 2 as bfloat16";
}

TEST(SavedTensorHooks, SeeNothingUnderNoGrad) {
  Uses uses;
  const at::Tensor x = leaf({3});
  const SavedTensorHooks guard(counting_pack(uses), counting_unpack(uses));
  const at::NoGradGuard no_grad;
  x.sin().cos();
  EXPECT_EQ(uses.packed, 0);
}

TEST(SavedTensorHooks, EndWithTheirScope) {
  Uses uses;
  const at::Tensor x = leaf({3});
  { const SavedTensorHooks guard(counting_pack(uses), counting_unpack(uses)); }
  gradient(x.sin(), x);
  EXPECT_EQ(uses.packed, 0);
}

// ---- nesting -----------------------------------------------------------------------------------------

// Breaks if: hooks are chained, or the outer ones do not come back.
TEST(SavedTensorHooks, OnlyTheInnermostApply) {
  Uses outer, inner;
  const at::Tensor x = leaf({3});
  const SavedTensorHooks outer_guard(counting_pack(outer), counting_unpack(outer));
  {
    const SavedTensorHooks inner_guard(counting_pack(inner), counting_unpack(inner));
    x.sin();
  }
  EXPECT_EQ(inner.packed, 1);
  EXPECT_EQ(outer.packed, 0);
  x.sin();
  EXPECT_EQ(inner.packed, 1);
  EXPECT_EQ(outer.packed, 1);
}

TEST(SavedTensorHooks, ApplyToTheirThreadOnly) {
  Uses uses;
  const SavedTensorHooks guard(counting_pack(uses), counting_unpack(uses));
  std::thread([] { leaf({3}).sin(); }).join();
  EXPECT_EQ(uses.packed, 0);
}

TEST(SavedTensorHooks, InsideARegionKeepItsTensorsFromIt) {
  Uses uses;
  Calls calls;
  const at::Tensor x = leaf({3});
  const at::Tensor y = checkpoint(
      [&](const at::Tensor& t) {
        calls.count();
        at::Tensor z;
        {
          const SavedTensorHooks guard(counting_pack(uses), counting_unpack(uses));
          z = t.sin();
        }
        return z.cos().tanh();
      },
      x);
  EXPECT_EQ(uses.packed, 1);
  const at::Tensor found = gradient(y, x);
  EXPECT_EQ(calls.recomputed, 1);
  EXPECT_EQ(uses.unpacked, 1) << "what forward packed";
  EXPECT_TRUE(bit_identical(found, gradient(x.sin().cos().tanh(), x)));
}

// If hooks inside the region take everything, there is nothing to recompute.
TEST(SavedTensorHooks, ThatTakeAllOfARegionLeaveNothingToRecompute) {
  Uses uses;
  Calls calls;
  const at::Tensor x = leaf({3});
  const at::Tensor y = checkpoint(
      [&](const at::Tensor& t) {
        calls.count();
        const SavedTensorHooks guard(counting_pack(uses), counting_unpack(uses));
        return t.sin().cos();
      },
      x);
  gradient(y, x);
  EXPECT_EQ(calls.recomputed, 0);
}

// A pack that does work of its own must not be where a recomputation stops.
TEST(SavedTensorHooks, ThatRunOperatorsInsideARegion) {
  const auto fn = [](const at::Tensor& t) {
    at::Tensor y = t.cos().tanh();
    const SavedTensorHooks guard(
        [](const at::Tensor& saved) -> std::any { return (saved * 2).to(at::kDouble); },
        [](const std::any& a) { return (std::any_cast<at::Tensor>(a) / 2).to(at::kFloat); });
    return y.sin() + 1;
  };
  testing::expect_same_call(
      {leaf({8})}, [&](const auto& l) { return fn(l[0]); },
      [&](const auto& l) { return checkpoint(fn, l[0]); });
}

// Breaks if: a region keeps its arguments past the hooks around it (save_on_cpu around regions).
TEST(SavedTensorHooks, AroundARegionReceiveItsArgumentsAndNothingElse) {
  Uses uses;
  const at::Tensor x = leaf({3}), w = leaf({3}, 2);
  const SavedTensorHooks guard(counting_pack(uses), counting_unpack(uses));
  const at::Tensor y = checkpoint(
      [](const at::Tensor& a, const at::Tensor& b) { return (a * b).sin().cos().tanh(); }, x, w);
  EXPECT_EQ(uses.packed, 2);
  const at::Tensor found = gradient(y, x);
  EXPECT_EQ(uses.unpacked, 2);
  EXPECT_TRUE(bit_identical(found, gradient((x * w).sin().cos().tanh(), x)));
}

TEST(SavedTensorHooks, AroundARegionDecideWhatItsArgumentsTake) {
  const MemoryTracker tracker;
  const at::Tensor x = leaf({1000});
  const Bytes before = tracker.live_bytes();
  const SavedTensorHooks guard(
      [](const at::Tensor& t) -> std::any { return t.to(at::kBFloat16); },
      [](const std::any& a) { return std::any_cast<at::Tensor>(a).to(at::kFloat); });
  at::Tensor y = checkpoint([](const at::Tensor& t) { return t.sin().cos(); }, x * 2);
  EXPECT_EQ(tracker.live_bytes() - before, Bytes(4000 + 2000));
  y.sum().backward();
}

// ---- errors and lifetime -----------------------------------------------------------------------------

struct HookError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST(SavedTensorHooks, WhatUnpackThrowsLeavesThroughBackward) {
  const at::Tensor x = leaf({3});
  at::Tensor y;
  {
    const SavedTensorHooks guard([](const at::Tensor&) { return std::any(); },
                                 [](const std::any&) -> at::Tensor { throw HookError("lost"); });
    y = x.sin();
  }
  EXPECT_THROW(y.sum().backward(), HookError);
  x.sin().sum().backward();
}

TEST(SavedTensorHooks, WhatPackThrowsLeavesThroughTheOperator) {
  const at::Tensor x = leaf({3});
  {
    const SavedTensorHooks guard([](const at::Tensor&) -> std::any { throw HookError("full"); },
                                 [](const std::any&) { return at::Tensor(); });
    EXPECT_THROW(x.sin(), HookError);
  }
  x.sin().sum().backward();
}

// tanh saves its result, whose history owns the saved tensor: a cycle if pack keeps it as it is.
TEST(SavedTensorHooks, ThatReturnTheTensorItselfLeakNothing) {
  const MemoryTracker tracker;
  const at::Tensor x = leaf({1000});
  const Bytes before = tracker.live_bytes();
  {
    const SavedTensorHooks guard([](const at::Tensor& t) -> std::any { return t; },
                                 [](const std::any& a) { return std::any_cast<at::Tensor>(a); });
    const at::Tensor y = x.tanh().exp().sigmoid();
  }
  EXPECT_EQ(tracker.live_bytes(), before);
}

TEST(SavedTensorHooks, KeepTheirFunctionsUntilTheTensorIsReleased) {
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = owned;
  const at::Tensor x = leaf({3});
  at::Tensor y;
  {
    const SavedTensorHooks guard(
        [owned](const at::Tensor& t) -> std::any { return t.clone(); },
        [owned](const std::any& a) { return std::any_cast<at::Tensor>(a); });
    y = x.sin();
  }
  owned.reset();
  EXPECT_FALSE(watch.expired());
  y.sum().backward();
  EXPECT_TRUE(watch.expired());
}

TEST(SavedTensorHooks, InADoubleBackward) {
  Uses uses;
  const at::Tensor x = leaf({5});
  const SavedTensorHooks guard(counting_pack(uses), counting_unpack(uses));
  const auto second_derivative = [&] {
    const auto g = torch::autograd::grad({x.sin().tanh().sum()}, {x}, {}, /*retain_graph=*/true,
                                         /*create_graph=*/true)[0];
    return torch::autograd::grad({g.sum()}, {x})[0];
  };
  const at::Tensor found = second_derivative();
  EXPECT_GT(uses.unpacked, 2);
  const at::Tensor s = x.detach().sin(), c = x.detach().cos(), t = s.tanh();
  const at::Tensor expected = -s * (1 - t * t) - 2 * t * (1 - t * t) * c * c;
  EXPECT_TRUE(torch::allclose(found, expected, 1e-5, 1e-6));
}

}  // namespace
}  // namespace remat

// Autocast: the forward is untouched, the recomputation casts as the forward did.
#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/memory.h>

#include "tests/testing/torch_versions.h"
#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::CpuAutocast;
using testing::expect_same_call;
using testing::leaf;
using testing::Leaves;
using testing::values;

at::Tensor projected(const at::Tensor& x, const at::Tensor& w) {
  return torch::linear(x, w).sin().to(at::kFloat);
}

// Breaks if: the recomputation casts to another dtype, or not at all (metadata differ).
TEST(Autocast, BackwardOutsideOfTheScope) {
  expect_same_call(
      {leaf({4, 6}), leaf({6, 6}, 2)},
      [](const Leaves& l) {
        const CpuAutocast autocast;
        return projected(l[0], l[1]);
      },
      [](const Leaves& l) {
        const CpuAutocast autocast;
        return checkpoint(projected, l[0], l[1]);
      });
}

// The weight's cast is cached: where it is shared the gradients are summed in bfloat16.
// Breaks if: the forward runs with the cache off (they are summed in float), or the recomputation with
// it on (the first one would save fewer tensors than its forward).
TEST(Autocast, AWeightSharedBySiblingRegions) {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    const Leaves leaves = {leaf({8, 16}, seed), leaf({16, 16}, seed + 100),
                           values({8, 16}, seed + 200)};
    expect_same_call(
        leaves,
        [](const Leaves& l) {
          const CpuAutocast autocast;
          return projected(l[0], l[1]) + projected(projected(l[2], l[1]), l[1]);
        },
        [](const Leaves& l) {
          const CpuAutocast autocast;
          return checkpoint(projected, l[0], l[1]) +
                 checkpoint(projected, checkpoint(projected, l[2], l[1]), l[1]);
        },
        3);
  }
}

TEST(Autocast, AWeightSharedWithTheOutside) {
  expect_same_call(
      {leaf({8, 16}), leaf({16, 16}, 2)},
      [](const Leaves& l) {
        const CpuAutocast autocast;
        return projected(projected(projected(l[0], l[1]), l[1]), l[1]);
      },
      [](const Leaves& l) {
        const CpuAutocast autocast;
        const at::Tensor x = projected(l[0], l[1]);
        return projected(checkpoint(projected, x, l[1]), l[1]);
      });
}

TEST(Autocast, BackwardInsideOfTheScope) {
  const auto step = [](const Leaves& l, bool checkpointed) {
    const CpuAutocast autocast;
    const at::Tensor y = checkpointed ? checkpoint(projected, l[0], l[1]) : projected(l[0], l[1]);
    y.sum().backward();
    return projected(l[0], l[1]);
  };
  expect_same_call(
      {leaf({8, 16}), leaf({16, 16}, 2)}, [&](const Leaves& l) { return step(l, false); },
      [&](const Leaves& l) { return step(l, true); });
}

TEST(Autocast, EnteredInsideTheRegion) {
  const auto fn = [](const at::Tensor& x, const at::Tensor& w) {
    at::Tensor y;
    {
      const CpuAutocast autocast;
      y = projected(x, w) + projected(x.sin(), w);
    }
    return torch::linear(y, w).sin();
  };
  expect_same_call(
      {leaf({8, 16}), leaf({16, 16}, 2)}, [&](const Leaves& l) { return fn(l[0], l[1]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0], l[1]); });
}

TEST(Autocast, BackwardUnderAnotherAutocast) {
  const at::Tensor x = leaf({4, 6}), w = leaf({6, 6}, 2);
  const at::Tensor y = checkpoint(projected, x, w);  // without
  const auto expected = torch::autograd::grad({projected(x, w).sum()}, {x, w});
  std::vector<at::Tensor> found;
  {
    const CpuAutocast autocast;
    found = torch::autograd::grad({y.sum()}, {x, w});
    EXPECT_TRUE(CpuAutocast::enabled());
    EXPECT_EQ(CpuAutocast::dtype(), at::kBFloat16);
  }
  EXPECT_EQ(found[0].scalar_type(), expected[0].scalar_type());
  EXPECT_TRUE(torch::allclose(found[0], expected[0], 0.05, 0.05));
}

// Breaks if: recomputation leaves its own settings behind.
TEST(Autocast, IsAsItWasAfterBackward) {
  const at::Tensor x = leaf({4, 6}), w = leaf({6, 6}, 2);
  const bool enabled = CpuAutocast::enabled();
  const at::ScalarType dtype = CpuAutocast::dtype();
  at::Tensor y;
  {
    const CpuAutocast autocast;
    y = checkpoint(projected, x, w);
    EXPECT_TRUE(at::autocast::is_autocast_cache_enabled()) << "the forward is untouched";
  }
  y.sum().backward();
  EXPECT_EQ(CpuAutocast::enabled(), enabled);
  EXPECT_EQ(CpuAutocast::dtype(), dtype);
  EXPECT_TRUE(at::autocast::is_autocast_cache_enabled());
}

TEST(Autocast, RecomputationPutsNothingIntoTheCache) {
  const MemoryTracker tracker;
  const at::Tensor x = leaf({4, 60}), w = leaf({60, 60}, 2);
  const CpuAutocast autocast;
  const at::Tensor y = checkpoint(projected, x, w);
  at::autocast::clear_cache();
  const Bytes before = tracker.live_bytes();
  torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true);
  EXPECT_EQ(tracker.live_bytes(), before);
}

}  // namespace
}  // namespace remat

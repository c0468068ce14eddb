#include "models/attention.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/error.h>
#include <remat/memory.h>

#include "models/blockwise_attention.h"
#include "tests/testing/torch_versions.h"

namespace remat::models {
namespace {

constexpr std::int64_t kBatch = 2;
constexpr std::int64_t kHeadDim = 8;

struct Heads {
  std::int64_t queries;
  std::int64_t keys;
};
const std::vector<Heads> kHeads = {{1, 1}, {3, 3}, {4, 2}, {6, 1}};

struct Inputs {
  Inputs(std::int64_t time, Heads heads, at::ScalarType type = at::kDouble) {
    torch::manual_seed(5);
    const auto make = [&](std::int64_t count) {
      return torch::randn({kBatch, count, time, kHeadDim}, type).requires_grad_();
    };
    q = make(heads.queries);
    k = make(heads.keys);
    v = make(heads.keys);
    d_result = torch::randn({kBatch, time, heads.queries * kHeadDim}, type);
  }

  at::Tensor q, k, v, d_result;
};

DecoderConfig config_of(Heads heads, std::int64_t time, AttentionKind kind) {
  DecoderConfig config;
  config.style = DecoderStyle::kLlama;
  config.attention = kind;
  config.dim = heads.queries * kHeadDim;
  config.heads = heads.queries;
  config.kv_heads = heads.keys;
  config.seq = time;
  return config;
}

// The result and the three gradients.
template <class Attention>
std::vector<at::Tensor> run(const Inputs& in, Attention attention) {
  const auto result = attention(in.q, in.k, in.v);
  auto results = torch::autograd::grad({result}, {in.q, in.k, in.v}, {in.d_result});
  results.insert(results.begin(), result.detach());
  return results;
}

auto as_decoders_do(Heads heads, std::int64_t time, AttentionKind kind) {
  return [causal = CausalAttention(config_of(heads, time, kind))](
             const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) mutable {
    return causal->forward(q, k, v);
  };
}

auto blockwise(std::int64_t block) {
  return [block](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    return blockwise_causal_attention(q, k, v, block).transpose(1, 2).flatten(2);
  };
}

double largest_difference(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].sizes(), b[i].sizes());
    const auto difference = (a[i].to(at::kDouble) - b[i].to(at::kDouble)).abs().max();
    largest = std::max(largest, difference.item<double>());
  }
  return largest;
}

void expect_same_bits(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(torch::equal(a[i], b[i])) << i;
}

// Sums of at most 300 terms of size 1 or so: 300 * 1e-16 would be enough, if every error was the worst.
TEST(BlockwiseAttention, EqualsTheMaterializedOneToRounding) {
  for (const auto heads : kHeads) {
    for (const std::int64_t time : {1, 2, 31, 32, 33, 64, 100, 300}) {
      const Inputs in(time, heads);
      const auto expected = run(in, as_decoders_do(heads, time, AttentionKind::kMaterialized));
      for (const std::int64_t block : {std::int64_t{1}, std::int64_t{32}, kAttentionBlock}) {
        if (block == 1 && time > 33) continue;  // slow
        EXPECT_LT(largest_difference(run(in, blockwise(block)), expected), 1e-10)
            << heads.queries << "/" << heads.keys << " heads, T " << time << ", block " << block;
      }
    }
  }
}

// A float32 sum of 300 terms of size 1 errs by some sqrt(300) * 6e-8 = 1e-6; gradients of keys that all
// queries see are ten times as large.
TEST(EfficientAttention, EqualsTheMaterializedOneInFloat32) {
  for (const auto heads : kHeads) {
    for (const std::int64_t time : {1, 127, 128, 129, 300}) {
      const Inputs in(time, heads, at::kFloat);
      const auto expected = run(in, as_decoders_do(heads, time, AttentionKind::kMaterialized));
      const auto found = run(in, as_decoders_do(heads, time, AttentionKind::kEfficient));
      EXPECT_LT(largest_difference(found, expected), 1e-5) << "T " << time;
      EXPECT_EQ(found[0].scalar_type(), at::kFloat);
    }
  }
}

TEST(EfficientAttention, EqualsTheMaterializedOneInFloat64) {
  const Heads heads{4, 2};
  const Inputs in(200, heads);
  EXPECT_LT(largest_difference(run(in, as_decoders_do(heads, 200, AttentionKind::kEfficient)),
                               run(in, as_decoders_do(heads, 200, AttentionKind::kMaterialized))),
            1e-10);
}

// exp(score) overflows even float64 from 710 on; the largest score may come in any block.
TEST(BlockwiseAttention, TakesScoresBeyondTheRangeOfExp) {
  const Heads heads{2, 1};
  Inputs in(100, heads);
  {
    const torch::NoGradGuard no_grad;
    in.q.mul_(300);
    in.k.mul_(10);
  }
  const auto expected = run(in, as_decoders_do(heads, 100, AttentionKind::kMaterialized));
  const auto found = run(in, blockwise(16));
  EXPECT_TRUE(found[0].isfinite().all().item<bool>());
  EXPECT_LT(largest_difference(found, expected), 1e-10 * expected[2].abs().max().item<double>());
}

TEST(BlockwiseAttention, RepeatsItsBits) {
  const Inputs in(150, {4, 2}, at::kFloat);
  expect_same_bits(run(in, blockwise(64)), run(in, blockwise(64)));
}

TEST(BlockwiseAttention, TakesInputsOfEveryLayout) {
  const Heads heads{4, 2};
  const Inputs in(50, heads);
  auto strided = in;
  const auto restride = [](const at::Tensor& x) {
    return x.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_();
  };
  strided.q = restride(in.q);
  strided.k = restride(in.k);
  strided.v = restride(in.v);
  ASSERT_FALSE(strided.q.is_contiguous());
  expect_same_bits(run(strided, blockwise(16)), run(in, blockwise(16)));
}

// ---- memory ----------------------------------------------------------------------------------------

template <class Attention>
Bytes peak_of(std::int64_t time, Heads heads, Attention attention) {
  const MemoryTracker tracker;
  const Inputs in(time, heads, at::kFloat);
  run(in, attention);
  return tracker.peak_bytes();
}

// Twice the length, twice the memory: a T x T tensor would make it four times.
TEST(EfficientAttention, NeedsMemoryLinearInTime) {
  const Heads heads{2, 1};
  const auto peak = [heads](std::int64_t time, AttentionKind kind) {
    return static_cast<double>(peak_of(time, heads, as_decoders_do(heads, time, kind)).count());
  };
  const auto efficient = AttentionKind::kEfficient;
  // From 1024 on: LibTorch's kernel works in larger blocks from 768 on, and so with a larger workspace.
  EXPECT_LT(peak(2048, efficient), 2.3 * peak(1024, efficient));
  EXPECT_LT(peak(4096, efficient), 2.3 * peak(2048, efficient));
  EXPECT_GT(peak(1024, AttentionKind::kMaterialized),
            3.5 * peak(512, AttentionKind::kMaterialized));
}

TEST(BlockwiseAttention, NeverHasATensorOfTByT) {
  const std::int64_t time = 2048;
  const Heads heads{2, 1};
  const auto tracked = peak_of(time, heads, blockwise(kAttentionBlock));
  // All that was live at once is less than the T x T of a single head, bytes of a mask included.
  EXPECT_LT(tracked.count(), time * time);
}

TEST(BlockwiseAttention, NeedsMemoryLinearInTime) {
  const Heads heads{2, 1};
  const auto peak = [heads](std::int64_t time) {
    return static_cast<double>(peak_of(time, heads, blockwise(kAttentionBlock)).count());
  };
  EXPECT_LT(peak(1024), 2.3 * peak(512));
  EXPECT_LT(peak(2048), 2.3 * peak(1024));
}

// ---- in regions, under autocast --------------------------------------------------------------------

TEST(BlockwiseAttention, IsRecomputedBitForBit) {
  const Inputs in(100, {4, 2}, at::kFloat);
  const auto plain = run(in, blockwise(32));
  int calls = 0;
  const auto counted = [&calls](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    ++calls;
    return blockwise(32)(q, k, v);
  };
  for (const auto determinism : {Determinism::kMetadata, Determinism::kValues}) {
    calls = 0;
    CheckpointOptions options;
    options.determinism = determinism;
    expect_same_bits(
        run(in, [&](const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v) { return checkpoint(options, counted, q, k, v); }),
        plain);
    EXPECT_EQ(calls, 2);
  }
}

TEST(EfficientAttention, IsRecomputedBitForBit) {
  const Heads heads{4, 2};
  const Inputs in(150, heads, at::kFloat);
  auto efficient = as_decoders_do(heads, 150, AttentionKind::kEfficient);
  const auto plain = run(in, efficient);
  int calls = 0;
  const auto counted = [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    ++calls;
    return efficient(q, k, v);
  };
  expect_same_bits(run(in, [&](const at::Tensor& q, const at::Tensor& k,
                               const at::Tensor& v) { return checkpoint(counted, q, k, v); }),
                   plain);
  EXPECT_EQ(calls, 2);
}

TEST(BlockwiseAttention, ComputesInTheTypeOfItsInputsUnderAutocast) {
  const Inputs in(40, {4, 2}, at::kFloat);
  const auto expected = run(in, blockwise(16));
  const remat::testing::CpuAutocast autocast;
  expect_same_bits(run(in, blockwise(16)), expected);
}

// Both round products to the 8 bits of bfloat16. Were blocks summed up in bfloat16 too, errors would grow
// with the number of blocks, here 128.
// Blocks of one round each weighted value, where the materialized one rounds their sum: how much that adds
// depends on the CPU's bfloat16 kernels (here up to 1.7 times the error with AVX512_BF16). Sums that are rounded
// between blocks, too, err 3.7 to 5.9 times as much.
TEST(BlockwiseAttention, SumsBfloat16InFloat32BetweenBlocks) {
  const Heads heads{4, 2};
  const std::int64_t time = 128;
  const Inputs low(time, heads, at::kBFloat16);
  Inputs same = low;
  for (auto* tensor : {&same.q, &same.k, &same.v}) {
    *tensor = tensor->detach().to(at::kDouble).requires_grad_();
  }
  same.d_result = low.d_result.to(at::kDouble);
  auto materialized = as_decoders_do(heads, time, AttentionKind::kMaterialized);
  const auto exact = run(same, materialized);
  const auto expected = run(low, materialized);
  const auto found = run(low, blockwise(1));
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].scalar_type(), at::kBFloat16);
    const auto error = [&](const at::Tensor& result) {
      return (result.to(at::kDouble) - exact[i]).norm().item<double>();
    };
    EXPECT_LT(error(found[i]), 2 * error(expected[i])) << i;
  }
}

TEST(BlockwiseAttention, RefusesDoubleBackward) {
  const Inputs in(10, {1, 1});
  const auto result = blockwise(4)(in.q, in.k, in.v);
  try {
    torch::autograd::grad({result.sum()}, {in.q}, {}, /*retain_graph=*/true, /*create_graph=*/true);
    FAIL() << "was accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("use --attention materialized"));
  }
}

}  // namespace
}  // namespace remat::models

#include "torch_bridge/fused_attention.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include "tests/testing/torch_versions.h"

namespace remat::torch_bridge {
namespace {

TEST(FusedAttention, IsCausalSoftmaxWhereLibTorchHasIt) {
  const std::int64_t time = 9;
  const auto make = [time] { return torch::randn({2, 3, time, 4}, torch::kDouble); };
  const auto q = make();
  const auto k = make();
  const auto v = make();
  const auto fused = fused_causal_attention(q, k, v);
  ASSERT_EQ(fused.has_value(), REMAT_TESTING_TORCH_AT_LEAST(2, 2));
  if (!fused) return;
  const auto future = torch::ones({time, time}, torch::kBool).triu(1);
  const auto scores = (q / std::sqrt(4.0)).matmul(k.transpose(-2, -1));
  const auto weights = scores.masked_fill(future, -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(torch::allclose(*fused, weights.softmax(-1).matmul(v), 1e-10, 1e-10));
}

}  // namespace
}  // namespace remat::torch_bridge

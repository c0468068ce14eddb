#include "models/attention.h"

#include <cmath>
#include <limits>

#include <torch/types.h>

#include <remat/budget.h>

#include "models/blockwise_attention.h"
#include "torch_bridge/fused_attention.h"

namespace remat::models {
namespace {

// Keys or values (B, G, T, D), one for each of `heads` heads.
at::Tensor for_each_head(const at::Tensor& shared, std::int64_t heads) {
  return shared.size(1) == heads ? shared
                                 : shared.repeat_interleave(heads / shared.size(1), /*dim=*/1);
}

at::Tensor efficient(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto heads = q.size(1);
  const auto fused =
      torch_bridge::fused_causal_attention(q, for_each_head(k, heads), for_each_head(v, heads));
  return fused ? *fused : blockwise_causal_attention(q, k, v);
}

}  // namespace

CausalAttentionImpl::CausalAttentionImpl(const DecoderConfig& config)
    : kind_(config.attention),
      weight_dropout_(
          register_module("weight_dropout", torch::nn::Dropout(config.dropout_or_default()))) {
  if (kind_ == AttentionKind::kMaterialized) {
    future_ = register_buffer(
        "future", torch::ones({config.seq, config.seq}, torch::kBool).triu(/*diagonal=*/1));
  }
}

at::Tensor CausalAttentionImpl::materialized(const at::Tensor& q, const at::Tensor& k,
                                             const at::Tensor& v) {
  const auto time = q.size(2);
  const auto query = q * (1.0 / std::sqrt(static_cast<double>(q.size(3))));
  const auto future = future_.slice(0, 0, time).slice(1, 0, time);
  auto scores = query.matmul(for_each_head(k, q.size(1)).transpose(-2, -1));  // (B, H, T, T)
  scores = scores.masked_fill(future, -std::numeric_limits<float>::infinity());
  return weight_dropout_->forward(remat::name(scores.softmax(-1), "weights"))
      .matmul(for_each_head(v, q.size(1)));
}

at::Tensor CausalAttentionImpl::forward(const at::Tensor& q, const at::Tensor& k,
                                        const at::Tensor& v) {
  const auto mixed =
      kind_ == AttentionKind::kMaterialized ? materialized(q, k, v) : efficient(q, k, v);
  return mixed.transpose(1, 2).flatten(2);
}

}  // namespace remat::models

// Causal attention as the decoders use it, in the two ways that `--attention` chooses from.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/dropout.h>

#include "models/decoder_config.h"

namespace remat::models {

/// Each query's mean of the values up to its position, weighted by softmax(q k^T / sqrt(D)).
///
/// kMaterialized makes the T x T weights and keeps them for backward; they are dropped out as the
/// config says. kEfficient is LibTorch's fused attention where it has one, and otherwise
/// blockwise_causal_attention; equal to kMaterialized to rounding.
///
/// Shapes: q (B, H, T, D); k, v (B, G, T, D), T <= seq; returns (B, T, C), heads side by side.
/// Source: Ainslie et al. 2023, "GQA", arXiv:2305.13245, section 2.2, where G < H: query head h uses the
///         keys and values of head h / (H / G).
class CausalAttentionImpl : public torch::nn::Module {
 public:
  explicit CausalAttentionImpl(const DecoderConfig& config);
  at::Tensor forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

 private:
  at::Tensor materialized(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

  AttentionKind kind_;
  torch::nn::Dropout weight_dropout_;
  at::Tensor
      future_;  // (seq, seq) bool: true where the key comes after the query; kMaterialized only
};
TORCH_MODULE(CausalAttention);

}  // namespace remat::models

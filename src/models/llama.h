// A Llama-style decoder, written as LibTorch's users write one.
#pragma once

#include <cstdint>

#include <torch/nn/module.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>

#include "models/attention.h"
#include "models/decoder.h"

namespace remat::models {

/// x / sqrt(mean(x^2) + epsilon), scaled channel by channel.
///
/// Shapes: x (..., C); returns (..., C).
/// Source: Zhang & Sennrich 2019, "Root Mean Square Layer Normalization", arXiv:1910.07467, equation 4,
///         with Llama's epsilon.
class RmsNormImpl : public torch::nn::Module {
 public:
  explicit RmsNormImpl(std::int64_t dim);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  torch::Tensor weight_;  // (C)
};
TORCH_MODULE(RmsNorm);

/// The angles of rotary positions: cos and sin of position / 10000^(2 i / D), for each pair i.
/// Shapes: cos and sin (T, D / 2).
struct RotaryTable {
  static RotaryTable make(std::int64_t time, std::int64_t head_dim);

  torch::Tensor cos;
  torch::Tensor sin;
};

/// Turns channels (i, i + D / 2) of the vector at position t by the angle (t, i) of `table`. The product
/// of two turned vectors depends on how far apart they are, not on where.
///
/// Shapes: x (B, H, T, D), T at most that of `table`; returns the same.
/// Source: Su et al. 2021, "RoFormer", arXiv:2104.09864, equation 34, with halves paired rather than
///         neighbours, as the published weights in safetensors are: the same up to the order of channels.
torch::Tensor rotate(const torch::Tensor& x, const RotaryTable& table);

/// Causal self-attention with rotary positions, whose heads share keys and values in groups.
///
/// Shapes: x (B, T, C); returns (B, T, C).
class LlamaAttentionImpl : public torch::nn::Module {
 public:
  LlamaAttentionImpl(const DecoderConfig& config, const RotaryTable& rotary);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  RotaryTable rotary_;  // the decoder's
  std::int64_t head_dim_;
  torch::nn::Linear query_;
  torch::nn::Linear key_;
  torch::nn::Linear value_;
  torch::nn::Linear projection_;
  CausalAttention causal_;
  torch::nn::Dropout residual_dropout_;
};
TORCH_MODULE(LlamaAttention);

/// One pre-norm block: x + attention(norm(x)), then x + mlp(norm(x)), where mlp is SwiGLU:
/// out(silu(gate(x)) * in(x)).
///
/// Shapes: x (B, T, C); returns (B, T, C).
/// Source: Shazeer 2020, "GLU Variants Improve Transformer", arXiv:2002.05202, equation 6.
class LlamaBlockImpl : public torch::nn::Module {
 public:
  LlamaBlockImpl(const DecoderConfig& config, const RotaryTable& rotary);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  RmsNorm attention_norm_;
  LlamaAttention attention_;
  RmsNorm mlp_norm_;
  torch::nn::Linear mlp_gate_;
  torch::nn::Linear mlp_in_;
  torch::nn::Linear mlp_out_;
  torch::nn::Dropout residual_dropout_;
};
TORCH_MODULE(LlamaBlock);

/// The decoder: token embedding, `layers` blocks, a final RMSNorm and a head of its own (not tied to the
/// embedding). No biases. Dropout, if asked for, is where GPT-2 has it.
///
/// Source:  Touvron et al. 2023, "LLaMA", arXiv:2302.13971, section 2.2; grouped-query attention as in
///          Ainslie et al. 2023, arXiv:2305.13245.
class LlamaImpl : public Decoder {
 public:
  /// Weights come from the default generator: call torch::manual_seed before for repeatable ones.
  explicit LlamaImpl(const DecoderConfig& config);

  torch::Tensor head(const torch::Tensor& x) override;

 private:
  RmsNorm final_norm_;
  torch::nn::Linear head_;
};
TORCH_MODULE(Llama);

}  // namespace remat::models

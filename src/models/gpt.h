// A GPT-2-style decoder, written as LibTorch's users write one.
#pragma once

#include <cstdint>

#include <torch/nn/module.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include "models/attention.h"
#include "models/decoder.h"

namespace remat::models {

/// Causal self-attention; every head has its own keys and values.
///
/// Shapes: x (B, T, C); returns (B, T, C).
class GptAttentionImpl : public torch::nn::Module {
 public:
  explicit GptAttentionImpl(const DecoderConfig& config);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  std::int64_t heads_;
  torch::nn::Linear qkv_;
  torch::nn::Linear projection_;
  CausalAttention causal_;
  torch::nn::Dropout residual_dropout_;
};
TORCH_MODULE(GptAttention);

/// One pre-LayerNorm block: x + attention(norm(x)), then x + mlp(norm(x)).
///
/// Shapes: x (B, T, C); returns (B, T, C).
class GptBlockImpl : public torch::nn::Module {
 public:
  explicit GptBlockImpl(const DecoderConfig& config);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  torch::nn::LayerNorm attention_norm_;
  GptAttention attention_;
  torch::nn::LayerNorm mlp_norm_;
  torch::nn::Linear mlp_in_;
  torch::nn::Linear mlp_out_;
  torch::nn::Dropout residual_dropout_;
};
TORCH_MODULE(GptBlock);

/// The decoder: token and position embeddings, `layers` blocks, a final LayerNorm and a head tied to
/// the token embedding.
///
/// Source:  Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3,
///          with its initialisation and tied embeddings; GELU in its tanh form.
class GptImpl : public Decoder {
 public:
  /// Weights come from the default generator: call torch::manual_seed before for repeatable ones.
  explicit GptImpl(const DecoderConfig& config);

  torch::Tensor head(const torch::Tensor& x) override;

 private:
  torch::Tensor positions(const torch::Tensor& tokens) override;

  torch::nn::Embedding position_embedding_;
  torch::nn::LayerNorm final_norm_;
};
TORCH_MODULE(Gpt);

}  // namespace remat::models

#include "models/gpt.h"

#include <torch/types.h>

namespace remat::models {
namespace {

constexpr std::int64_t kMlpExpansion = 4;

torch::nn::LayerNorm layer_norm(const DecoderConfig& config) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({config.dim}));
}

torch::nn::Dropout dropout(const DecoderConfig& config) {
  return torch::nn::Dropout(config.dropout_or_default());
}

}  // namespace

GptAttentionImpl::GptAttentionImpl(const DecoderConfig& config)
    : heads_(config.heads),
      qkv_(register_module("qkv", torch::nn::Linear(config.dim, 3 * config.dim))),
      projection_(register_module("projection", torch::nn::Linear(config.dim, config.dim))),
      causal_(register_module("causal", CausalAttention(config))),
      residual_dropout_(register_module("residual_dropout", dropout(config))) {}

torch::Tensor GptAttentionImpl::forward(const torch::Tensor& x) {
  // (B, T, 3C) -> three of (B, H, T, D)
  const auto qkv =
      qkv_->forward(x).unflatten(2, {3, heads_, x.size(2) / heads_}).permute({2, 0, 3, 1, 4});
  return residual_dropout_->forward(projection_->forward(causal_->forward(qkv[0], qkv[1], qkv[2])));
}

GptBlockImpl::GptBlockImpl(const DecoderConfig& config)
    : attention_norm_(register_module("attention_norm", layer_norm(config))),
      attention_(register_module("attention", GptAttention(config))),
      mlp_norm_(register_module("mlp_norm", layer_norm(config))),
      mlp_in_(register_module("mlp_in", torch::nn::Linear(config.dim, kMlpExpansion * config.dim))),
      mlp_out_(
          register_module("mlp_out", torch::nn::Linear(kMlpExpansion * config.dim, config.dim))),
      residual_dropout_(register_module("residual_dropout", dropout(config))) {}

torch::Tensor GptBlockImpl::forward(const torch::Tensor& x) {
  const auto attended = x + attention_->forward(attention_norm_->forward(x));
  const auto hidden = torch::gelu(mlp_in_->forward(mlp_norm_->forward(attended)), "tanh");
  return attended + residual_dropout_->forward(mlp_out_->forward(hidden));
}

GptImpl::GptImpl(const DecoderConfig& config)
    : Decoder(config),
      position_embedding_(
          register_module("position_embedding", torch::nn::Embedding(config.seq, config.dim))),
      final_norm_(register_module("final_norm", layer_norm(config))) {
  for (std::int64_t i = 0; i < config.layers; ++i) add_block(GptBlock(config));
  initialise();
}

torch::Tensor GptImpl::positions(const torch::Tensor& tokens) {
  return position_embedding_->forward(torch::arange(tokens.size(1), tokens.options()));
}

torch::Tensor GptImpl::head(const torch::Tensor& x) {
  return torch::linear(final_norm_->forward(x), token_weights());
}

}  // namespace remat::models

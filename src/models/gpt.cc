#include "models/gpt.h"

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <torch/nn/functional/loss.h>
#include <torch/nn/init.h>
#include <torch/types.h>

#include <remat/error.h>
#include <remat/sequential.h>

#include "base/check.h"

namespace remat::models {
namespace {

constexpr double kWeightStd = 0.02;
constexpr std::int64_t kMlpExpansion = 4;

void check_size(const char* flag, std::int64_t value) {
  REMAT_CHECK(value >= 1, InvalidArgument, "{} {}: must be at least 1; give a positive number", flag,
              value);
}

std::int64_t largest_divisor_up_to(std::int64_t limit, std::int64_t number) {
  std::int64_t divisor = limit < number ? limit : number;
  while (number % divisor != 0) --divisor;
  return divisor;
}

torch::nn::LayerNorm layer_norm(const GptConfig& config) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({config.dim}));
}

}  // namespace

void GptConfig::validate() const {
  check_size("--layers", layers);
  check_size("--dim", dim);
  check_size("--heads", heads);
  check_size("--seq", seq);
  check_size("--vocab", vocab);
  REMAT_CHECK(dim % heads == 0, InvalidArgument,
              "--heads {} does not divide --dim {}: every head takes dim / heads channels; try "
              "--heads {}",
              heads, dim, largest_divisor_up_to(heads, dim));
  REMAT_CHECK(dropout >= 0.0 && dropout < 1.0, InvalidArgument,
              "--dropout {}: must be at least 0 and below 1; 0 turns dropout off", dropout);
}

CausalSelfAttentionImpl::CausalSelfAttentionImpl(const GptConfig& config)
    : heads_(config.heads),
      qkv_(register_module("qkv", torch::nn::Linear(config.dim, 3 * config.dim))),
      projection_(register_module("projection", torch::nn::Linear(config.dim, config.dim))),
      score_dropout_(register_module("score_dropout", torch::nn::Dropout(config.dropout))),
      residual_dropout_(register_module("residual_dropout", torch::nn::Dropout(config.dropout))),
      future_(register_buffer(
          "future", torch::ones({config.seq, config.seq}, torch::kBool).triu(/*diagonal=*/1))) {}

torch::Tensor CausalSelfAttentionImpl::forward(const torch::Tensor& x) {
  const auto time = x.size(1);
  const auto head_dim = x.size(2) / heads_;
  // (B, T, 3C) -> three of (B, H, T, C / H)
  const auto qkv = qkv_->forward(x).unflatten(2, {3, heads_, head_dim}).permute({2, 0, 3, 1, 4});
  const auto query = qkv[0] * (1.0 / std::sqrt(static_cast<double>(head_dim)));
  const auto future = future_.slice(0, 0, time).slice(1, 0, time);
  auto scores = query.matmul(qkv[1].transpose(-2, -1));  // (B, H, T, T)
  scores = scores.masked_fill(future, -std::numeric_limits<float>::infinity());
  const auto weights = score_dropout_->forward(scores.softmax(-1));
  const auto mixed = weights.matmul(qkv[2]).transpose(1, 2).flatten(2);  // (B, T, C)
  return residual_dropout_->forward(projection_->forward(mixed));
}

GptBlockImpl::GptBlockImpl(const GptConfig& config)
    : attention_norm_(register_module("attention_norm", layer_norm(config))),
      attention_(register_module("attention", CausalSelfAttention(config))),
      mlp_norm_(register_module("mlp_norm", layer_norm(config))),
      mlp_in_(register_module("mlp_in", torch::nn::Linear(config.dim, kMlpExpansion * config.dim))),
      mlp_out_(
          register_module("mlp_out", torch::nn::Linear(kMlpExpansion * config.dim, config.dim))),
      residual_dropout_(register_module("residual_dropout", torch::nn::Dropout(config.dropout))) {}

torch::Tensor GptBlockImpl::forward(const torch::Tensor& x) {
  const auto attended = x + attention_->forward(attention_norm_->forward(x));
  const auto hidden = torch::gelu(mlp_in_->forward(mlp_norm_->forward(attended)), "tanh");
  return attended + residual_dropout_->forward(mlp_out_->forward(hidden));
}

GptImpl::GptImpl(const GptConfig& config)
    : config_((config.validate(), config)),
      token_embedding_(
          register_module("token_embedding", torch::nn::Embedding(config.vocab, config.dim))),
      position_embedding_(
          register_module("position_embedding", torch::nn::Embedding(config.seq, config.dim))),
      embedding_dropout_(register_module("embedding_dropout", torch::nn::Dropout(config.dropout))),
      final_norm_(register_module("final_norm", layer_norm(config))) {
  for (std::int64_t i = 0; i < config.layers; ++i) {
    blocks_.emplace_back(register_module(fmt::format("block{}", i), GptBlock(config)));
  }
  initialise();
}

// GPT-2's: N(0, 0.02) for every matrix, scaled by 1 / sqrt(2 N) where N blocks add to the residual
// stream twice each; biases zero; LayerNorm as it comes.
void GptImpl::initialise() {
  const torch::NoGradGuard no_grad;
  const double residual_std = kWeightStd / std::sqrt(2.0 * static_cast<double>(config_.layers));
  for (auto& item : named_parameters()) {
    const std::string& name = item.key();
    const auto ends_with = [&name](const std::string& end) {
      return name.size() >= end.size() &&
             name.compare(name.size() - end.size(), end.size(), end) == 0;
    };
    if (ends_with(".projection.weight") || ends_with(".mlp_out.weight")) {
      torch::nn::init::normal_(item.value(), 0.0, residual_std);
    } else if (item.value().dim() == 2) {
      torch::nn::init::normal_(item.value(), 0.0, kWeightStd);
    } else if (ends_with(".bias")) {
      torch::nn::init::zeros_(item.value());
    }
  }
}

torch::Tensor GptImpl::embed(const torch::Tensor& tokens) {
  REMAT_CHECK(
      tokens.dim() == 2 && tokens.scalar_type() == torch::kLong && tokens.size(1) <= config_.seq,
      InvalidArgument,
      "Gpt::forward: tokens must be (B, T) int64 with T <= {}, the seq of its config; got ({}) {}",
      config_.seq, fmt::join(tokens.sizes(), ", "), c10::toString(tokens.scalar_type()));
  const auto positions = torch::arange(tokens.size(1), tokens.options());
  return embedding_dropout_->forward(token_embedding_->forward(tokens) +
                                     position_embedding_->forward(positions));
}

torch::Tensor GptImpl::logits(const torch::Tensor& x) {
  return torch::linear(final_norm_->forward(x), token_embedding_->weight);
}

torch::Tensor GptImpl::forward(const torch::Tensor& tokens) {
  auto x = embed(tokens);
  for (auto& block : blocks_) {
    if (block_observer_) block_observer_();
    x = block->forward(x);
  }
  return logits(x);
}

torch::Tensor GptImpl::forward(const torch::Tensor& tokens, const Placement& placement) {
  std::vector<Layer> layers;
  layers.reserve(blocks_.size());
  for (const auto& block : blocks_) {
    layers.emplace_back([block = block.ptr(), observer = block_observer_](const torch::Tensor& x) {
      if (observer) observer();
      return block->forward(x);
    });
  }
  return logits(run_layers(layers, placement, embed(tokens)));
}

void GptImpl::observe_blocks(std::function<void()> observer) {
  block_observer_ = std::move(observer);
}

torch::Tensor next_token_loss(const torch::Tensor& logits, const torch::Tensor& targets) {
  return torch::nn::functional::cross_entropy(logits.flatten(0, 1), targets.flatten());
}

}  // namespace remat::models

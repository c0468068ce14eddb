#include "models/decoder.h"

#include <cmath>

#include <fmt/format.h>

#include <torch/nn/functional/loss.h>
#include <torch/nn/init.h>
#include <torch/types.h>

#include <remat/error.h>

#include "base/check.h"
#include "models/gpt.h"
#include "models/llama.h"

namespace remat::models {
namespace {

constexpr double kWeightStd = 0.02;

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

Decoder::Decoder(const DecoderConfig& config)
    : config_((config.validate(), config)),
      token_embedding_(
          register_module("token_embedding", torch::nn::Embedding(config.vocab, config.dim))),
      embedding_dropout_(
          register_module("embedding_dropout", torch::nn::Dropout(config.dropout_or_default()))) {}

// GPT-2's (Radford et al. 2019, section 2.3): N(0, 0.02) for every matrix, scaled by 1 / sqrt(2 N) where
// N blocks add to the residual stream twice each; biases zero; norms as they come. Llama's paper names
// none; the same is taken, with the deviation that its published configurations have.
void Decoder::initialise() {
  const torch::NoGradGuard no_grad;
  const double residual_std = kWeightStd / std::sqrt(2.0 * static_cast<double>(config_.layers));
  for (auto& item : named_parameters()) {
    const std::string& name = item.key();
    if (ends_with(name, ".projection.weight") || ends_with(name, ".mlp_out.weight")) {
      torch::nn::init::normal_(item.value(), 0.0, residual_std);
    } else if (item.value().dim() == 2) {
      torch::nn::init::normal_(item.value(), 0.0, kWeightStd);
    } else if (ends_with(name, ".bias")) {
      torch::nn::init::zeros_(item.value());
    }
  }
}

torch::Tensor Decoder::positions(const torch::Tensor& /*tokens*/) { return {}; }

torch::Tensor Decoder::embed(const torch::Tensor& tokens) {
  REMAT_CHECK(
      tokens.dim() == 2 && tokens.scalar_type() == torch::kLong && tokens.size(1) <= config_.seq,
      InvalidArgument,
      "Decoder::forward: tokens must be (B, T) int64 with T <= {}, the seq of its config; got ({}) "
      "{}",
      config_.seq, fmt::join(tokens.sizes(), ", "), c10::toString(tokens.scalar_type()));
  const auto embedded = token_embedding_->forward(tokens);
  const auto where = positions(tokens);
  return embedding_dropout_->forward(where.defined() ? embedded + where : embedded);
}

std::vector<Layer> Decoder::layers() const {
  if (!block_observer_) return blocks_;
  std::vector<Layer> observed;
  observed.reserve(blocks_.size());
  for (const auto& block : blocks_) {
    observed.emplace_back([block, observer = block_observer_](const torch::Tensor& x) {
      observer();
      return block(x);
    });
  }
  return observed;
}

torch::Tensor Decoder::forward(const torch::Tensor& tokens) {
  auto x = embed(tokens);
  for (const auto& layer : layers()) x = layer(x);
  return head(x);
}

torch::Tensor Decoder::forward(const torch::Tensor& tokens, const Placement& placement) {
  return head(run_layers(layers(), placement, embed(tokens)));
}

std::shared_ptr<Decoder> make_decoder(const DecoderConfig& config) {
  if (config.style == DecoderStyle::kLlama) return std::make_shared<LlamaImpl>(config);
  return std::make_shared<GptImpl>(config);
}

torch::Tensor next_token_loss(const torch::Tensor& logits, const torch::Tensor& targets) {
  // Under autocast logits have fewer bits; a sum over the vocabulary needs them all.
  const bool short_floats =
      logits.scalar_type() == torch::kHalf || logits.scalar_type() == torch::kBFloat16;
  const auto exact = short_floats ? logits.to(torch::kFloat) : logits;
  return torch::nn::functional::cross_entropy(exact.flatten(0, 1), targets.flatten());
}

}  // namespace remat::models

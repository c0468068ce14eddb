#include "models/encoder_decoder.h"

#include <cmath>

#include <torch/nn/options/transformer.h>
#include <torch/types.h>

namespace remat::models {
namespace {

namespace nn = torch::nn;

nn::TransformerOptions options(const EncoderDecoderConfig& config) {
  return nn::TransformerOptions(config.dim, config.heads, config.layers, config.layers)
      .dim_feedforward(config.mlp_dim)
      .dropout(config.dropout);
}

// Vaswani et al. 2017, section 3.5; here sines first, then cosines, rather than by turns.
torch::Tensor sinusoids(std::int64_t positions, std::int64_t dim) {
  const auto pairs = torch::arange(dim / 2, torch::kDouble);
  const auto frequencies = torch::exp(pairs * (-2.0 * std::log(1e4) / static_cast<double>(dim)));
  const auto angles = torch::outer(torch::arange(positions, torch::kDouble), frequencies);
  return torch::cat({angles.sin(), angles.cos()}, 1).to(torch::kFloat).unsqueeze(1);
}

}  // namespace

EncoderDecoderImpl::EncoderDecoderImpl(const EncoderDecoderConfig& config)
    : embedding_(register_module("embedding", nn::Embedding(config.vocab, config.dim))),
      dropout_(register_module("dropout", nn::Dropout(config.dropout))),
      transformer_(register_module("transformer", nn::Transformer(options(config)))),
      head_(register_module("head", nn::Linear(config.dim, config.vocab))),
      positions_(register_buffer("positions", sinusoids(config.seq, config.dim))) {}

torch::Tensor EncoderDecoderImpl::embed(const torch::Tensor& tokens) {
  const auto embedded = embedding_->forward(tokens.t());
  return dropout_->forward(embedded + positions_.slice(0, 0, tokens.size(1)));
}

torch::Tensor EncoderDecoderImpl::forward(const torch::Tensor& source,
                                          const torch::Tensor& target) {
  const auto future =
      nn::TransformerImpl::generate_square_subsequent_mask(target.size(1)).to(target.device());
  const auto x = transformer_->forward(embed(source), embed(target), /*src_mask=*/{}, future);
  return head_->forward(x).transpose(0, 1);
}

}  // namespace remat::models

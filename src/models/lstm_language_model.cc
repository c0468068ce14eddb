#include "models/lstm_language_model.h"

#include <tuple>

namespace remat::models {

LstmLanguageModelImpl::LstmLanguageModelImpl(const LstmConfig& config)
    : embedding_(register_module("embedding", torch::nn::Embedding(config.vocab, config.dim))),
      dropout_(register_module("dropout", torch::nn::Dropout(config.dropout))),
      lstm_(register_module("lstm",
                            torch::nn::LSTM(torch::nn::LSTMOptions(config.dim, config.dim)
                                                .num_layers(config.layers)
                                                .dropout(config.layers > 1 ? config.dropout : 0)
                                                .batch_first(true)))),
      head_(register_module("head", torch::nn::Linear(config.dim, config.vocab))) {}

torch::Tensor LstmLanguageModelImpl::forward(const torch::Tensor& tokens) {
  const auto embedded = dropout_->forward(embedding_->forward(tokens));
  return head_->forward(dropout_->forward(std::get<0>(lstm_->forward(embedded))));
}

}  // namespace remat::models

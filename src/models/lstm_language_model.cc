#include "models/lstm_language_model.h"

#include <tuple>
#include <utility>
#include <vector>

#include <torch/types.h>

#include <remat/checkpoint.h>

namespace remat::models {
namespace {

using Tensors = std::vector<torch::Tensor>;
using State = c10::optional<std::tuple<torch::Tensor, torch::Tensor>>;  // h and c; empty: zeros

/// The outputs of `stretches`, one after another, and the state that the last one leaves.
std::pair<Tensors, State> pass(torch::nn::LSTM lstm, const Tensors& stretches, State state) {
  Tensors outputs;
  for (const auto& x : stretches) {
    torch::Tensor output;
    std::tie(output, state) = lstm->forward(x, state);
    outputs.push_back(std::move(output));
  }
  return {std::move(outputs), std::move(state)};
}

}  // namespace

LstmLanguageModelImpl::LstmLanguageModelImpl(const LstmConfig& config)
    : stretch_(config.stretch),
      embedding_(register_module("embedding", torch::nn::Embedding(config.vocab, config.dim))),
      dropout_(register_module("dropout", torch::nn::Dropout(config.dropout))),
      lstm_(register_module("lstm",
                            torch::nn::LSTM(torch::nn::LSTMOptions(config.dim, config.dim)
                                                .num_layers(config.layers)
                                                .dropout(config.layers > 1 ? config.dropout : 0)
                                                .batch_first(true)))),
      head_(register_module("head", torch::nn::Linear(config.dim, config.vocab))) {}

torch::Tensor LstmLanguageModelImpl::forward(const torch::Tensor& tokens) {
  return forward(tokens, Placement::none());
}

torch::Tensor LstmLanguageModelImpl::forward(const torch::Tensor& tokens,
                                             const Placement& placement) {
  const auto embedded = dropout_->forward(embedding_->forward(tokens));
  const auto stretches = stretch_ == 0 ? Tensors{embedded} : embedded.split(stretch_, /*dim=*/1);
  const auto run = [lstm = lstm_](const Tensors& xs, const State& start) {
    return pass(lstm, xs, start);
  };
  Tensors outputs;
  State state;
  for (const Segment& segment : placement.segments(static_cast<std::int64_t>(stretches.size()))) {
    const Tensors part(stretches.begin() + segment.begin, stretches.begin() + segment.end);
    auto [made, after] = segment.checkpointed ? checkpoint(run, part, state) : run(part, state);
    outputs.insert(outputs.end(), made.begin(), made.end());
    state = std::move(after);
  }
  const auto output = outputs.size() == 1 ? outputs.front() : torch::cat(outputs, 1);
  return head_->forward(dropout_->forward(output));
}

}  // namespace remat::models

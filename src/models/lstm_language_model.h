// A recurrent language model: as many small operators one after another as a sequence has tokens.
#pragma once

#include <cstdint>

#include <torch/nn/module.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/rnn.h>

#include <remat/placement.h>

namespace remat::models {

/// Sizes of an LstmLanguageModel. The defaults are the paper's medium model, over bytes.
struct LstmConfig {
  std::int64_t vocab = 256;
  std::int64_t dim = 650;
  std::int64_t layers = 2;
  double dropout = 0.5;
  /// Time steps of one call of the LSTM, which hands its state to the next call; 0: all of a sequence.
  std::int64_t stretch = 0;
};

/// Embedded tokens through stacked LSTMs to the logits of the next token. Dropout is between layers,
/// never between the steps of one.
///
/// Shapes: tokens (B, T) int64 in [0, V), any T; returns logits (B, T, V).
/// Source: Zaremba et al. 2014, "Recurrent Neural Network Regularization", arXiv:1409.2329, figure 2.
class LstmLanguageModelImpl : public torch::nn::Module {
 public:
  /// Weights come from the default generator: call torch::manual_seed before for repeatable ones.
  explicit LstmLanguageModelImpl(const LstmConfig& config);
  torch::Tensor forward(const torch::Tensor& tokens);
  /// The calls of the LSTM run as the layers of `placement`; same result, bit for bit.
  /// Errors: also InvalidArgument if `placement` does not fit their number, T / stretch rounded up.
  torch::Tensor forward(const torch::Tensor& tokens, const Placement& placement);

 private:
  std::int64_t stretch_;
  torch::nn::Embedding embedding_;
  torch::nn::Dropout dropout_;
  torch::nn::LSTM lstm_;
  torch::nn::Linear head_;
};
TORCH_MODULE(LstmLanguageModel);

}  // namespace remat::models

// A transformer from one sequence to another, around LibTorch's own torch::nn::Transformer.
#pragma once

#include <cstdint>

#include <torch/nn/module.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/transformer.h>

namespace remat::models {

/// Sizes of an EncoderDecoder. The defaults are the paper's base model, over bytes.
struct EncoderDecoderConfig {
  std::int64_t vocab = 256;
  std::int64_t dim = 512;
  std::int64_t heads = 8;
  std::int64_t layers = 6;  ///< of the encoder, and of the decoder
  std::int64_t mlp_dim = 2048;
  std::int64_t seq = 512;  ///< the longest sequence it takes
  double dropout = 0.1;
};

/// Logits of each next token of a target sequence, given its earlier ones and all of a source sequence.
/// Both share an embedding, and have sinusoidal positions.
///
/// Shapes: source, target (B, T) int64 in [0, V), each with a T of its own, at most seq; returns logits
///         (B, T, V) of the target.
/// Source: Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762, figure 1.
class EncoderDecoderImpl : public torch::nn::Module {
 public:
  /// Weights come from the default generator: call torch::manual_seed before for repeatable ones.
  explicit EncoderDecoderImpl(const EncoderDecoderConfig& config);
  torch::Tensor forward(const torch::Tensor& source, const torch::Tensor& target);

 private:
  torch::Tensor embed(const torch::Tensor& tokens);  // (B, T) -> (T, B, C)

  torch::nn::Embedding embedding_;
  torch::nn::Dropout dropout_;
  torch::nn::Transformer transformer_;
  torch::nn::Linear head_;
  torch::Tensor positions_;  // (seq, 1, C)
};
TORCH_MODULE(EncoderDecoder);

}  // namespace remat::models

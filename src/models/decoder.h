// The decoders of `remat train`, of `remat verify`, of tests and of benchmarks: what they share.
//
// Letters: B batch, T time (tokens of a sequence), C channels (dim), H heads, G heads of keys and
// values, V vocabulary.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/embedding.h>

#include <remat/placement.h>
#include <remat/sequential.h>

#include "models/decoder_config.h"

namespace remat::models {

/// A language model: embedded tokens go through a chain of blocks, (B, T, C) to (B, T, C), and a head.
///
/// Shapes:  tokens (B, T) int64 in [0, V), T <= seq; forward returns logits (B, T, V).
/// Errors:  InvalidArgument from the constructor as DecoderConfig::validate, from forward and embed if
///          `tokens` has another shape or dtype.
/// Threads: one call at a time.
class Decoder : public torch::nn::Module {
 public:
  /// Plain: no part of remat takes part in it.
  torch::Tensor forward(const torch::Tensor& tokens);

  /// The blocks run through remat::run_layers under `placement`; same result, bit for bit.
  /// Errors: also InvalidArgument if `placement` does not fit the number of layers.
  torch::Tensor forward(const torch::Tensor& tokens, const Placement& placement);

  /// The three parts of forward: head(layers(embed(tokens))).
  torch::Tensor embed(const torch::Tensor& tokens);
  std::vector<Layer> layers() const;
  virtual torch::Tensor head(const torch::Tensor& x) = 0;

  /// Calls `observer` at the start of every call of a block, recomputations included.
  void observe_blocks(std::function<void()> observer) { block_observer_ = std::move(observer); }

  const DecoderConfig& config() const { return config_; }

 protected:
  explicit Decoder(const DecoderConfig& config);

  /// What is added to the embedded tokens to say where they stand; undefined if blocks do that.
  /// Shapes: returns (T, C).
  virtual torch::Tensor positions(const torch::Tensor& tokens);

  template <class Block>
  void add_block(Block block) {
    register_module("block" + std::to_string(blocks_.size()), block);
    blocks_.emplace_back([block = block.ptr()](const at::Tensor& x) { return block->forward(x); });
  }

  /// Draws all weights, once every module is registered.
  void initialise();

  const torch::Tensor& token_weights() const { return token_embedding_->weight; }

 private:
  DecoderConfig config_;
  torch::nn::Embedding token_embedding_;
  torch::nn::Dropout embedding_dropout_;
  std::vector<Layer> blocks_;
  std::function<void()> block_observer_;
};

/// The decoder of `config.style`: a Gpt or a Llama.
/// Errors: InvalidArgument as DecoderConfig::validate.
std::shared_ptr<Decoder> make_decoder(const DecoderConfig& config);

/// Mean cross entropy of the next token, in nats; of float16 and bfloat16 logits in float.
///
/// Shapes: logits (B, T, V), targets (B, T) int64; returns a scalar.
torch::Tensor next_token_loss(const torch::Tensor& logits, const torch::Tensor& targets);

}  // namespace remat::models

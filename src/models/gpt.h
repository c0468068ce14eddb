// A GPT-2-style decoder, written as LibTorch's users write one: the model of `remat train`, of
// `remat verify`, of tests and of benchmarks.
//
// Letters: B batch, T time (tokens of a sequence), C channels (dim), H heads, V vocabulary.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <remat/placement.h>

namespace remat::models {

/// Sizes of a Gpt. The defaults train at a few steps per second on two CPU cores.
struct GptConfig {
  std::int64_t layers = 6;
  std::int64_t dim = 192;
  std::int64_t heads = 6;
  std::int64_t seq = 256;  ///< the longest T the model takes
  std::int64_t vocab = 256;
  double dropout = 0.1;

  /// Errors: InvalidArgument that names the flag of `remat train`, its value and what to do, if a
  ///         size is below 1, `heads` does not divide `dim`, or `dropout` is not in [0, 1).
  void validate() const;
};

/// Causal self-attention whose T x T scores are materialised: masked, softmaxed, dropped out.
///
/// Shapes: x (B, T, C); returns (B, T, C).
class CausalSelfAttentionImpl : public torch::nn::Module {
 public:
  explicit CausalSelfAttentionImpl(const GptConfig& config);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  std::int64_t heads_;
  torch::nn::Linear qkv_;
  torch::nn::Linear projection_;
  torch::nn::Dropout score_dropout_;
  torch::nn::Dropout residual_dropout_;
  torch::Tensor future_;  // (seq, seq) bool: true where the key comes after the query
};
TORCH_MODULE(CausalSelfAttention);

/// One pre-LayerNorm block: x + attention(norm(x)), then x + mlp(norm(x)).
///
/// Shapes: x (B, T, C); returns (B, T, C).
class GptBlockImpl : public torch::nn::Module {
 public:
  explicit GptBlockImpl(const GptConfig& config);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  torch::nn::LayerNorm attention_norm_;
  CausalSelfAttention attention_;
  torch::nn::LayerNorm mlp_norm_;
  torch::nn::Linear mlp_in_;
  torch::nn::Linear mlp_out_;
  torch::nn::Dropout residual_dropout_;
};
TORCH_MODULE(GptBlock);

/// The decoder: token and position embeddings, `layers` blocks, a final LayerNorm and a head tied to
/// the token embedding.
///
/// Shapes:  tokens (B, T) int64 in [0, V), T <= seq; returns logits (B, T, V).
/// Errors:  InvalidArgument from the constructor as GptConfig::validate, from forward if `tokens` has
///          another shape or dtype.
/// Threads: one call at a time.
/// Source:  Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3,
///          with its initialisation and tied embeddings; GELU in its tanh form.
class GptImpl : public torch::nn::Module {
 public:
  /// Weights come from the default generator: call torch::manual_seed before for repeatable ones.
  explicit GptImpl(const GptConfig& config);

  /// Plain: no part of remat takes part in it.
  torch::Tensor forward(const torch::Tensor& tokens);

  /// The blocks run through remat::run_layers under `placement`; same result, bit for bit.
  /// Errors: also InvalidArgument if `placement` does not fit the number of layers.
  torch::Tensor forward(const torch::Tensor& tokens, const Placement& placement);

  /// Calls `observer` at the start of every call of a block, recomputations included.
  void observe_blocks(std::function<void()> observer);

 private:
  void initialise();
  torch::Tensor embed(const torch::Tensor& tokens);
  torch::Tensor logits(const torch::Tensor& x);

  GptConfig config_;
  torch::nn::Embedding token_embedding_;
  torch::nn::Embedding position_embedding_;
  torch::nn::Dropout embedding_dropout_;
  std::vector<GptBlock> blocks_;
  torch::nn::LayerNorm final_norm_;
  std::function<void()> block_observer_;
};
TORCH_MODULE(Gpt);

/// Mean cross entropy of the next token, in nats.
///
/// Shapes: logits (B, T, V), targets (B, T) int64; returns a scalar.
torch::Tensor next_token_loss(const torch::Tensor& logits, const torch::Tensor& targets);

}  // namespace remat::models

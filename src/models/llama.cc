#include "models/llama.h"

#include <cmath>

#include <c10/core/DefaultDtype.h>
#include <torch/types.h>

namespace remat::models {
namespace {

constexpr double kEpsilon = 1e-6;        // norm_eps of Llama's published code
constexpr double kRotaryBase = 10000.0;  // Su et al. 2021, section 3.2.2

// Two thirds of GPT-2's 4 C, so that three matrices have as many weights as its two (Touvron et al.
// 2023, section 2.2), rounded up to a width that vectorises. (Llama's code rounds to 256, which here
// would be wider than whole models.)
constexpr std::int64_t kMlpMultiple = 32;
std::int64_t mlp_width(std::int64_t dim) {
  const auto width = 8 * dim / 3;
  return (width + kMlpMultiple - 1) / kMlpMultiple * kMlpMultiple;
}

torch::nn::Linear linear(std::int64_t in, std::int64_t out) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
}

torch::nn::Dropout dropout(const DecoderConfig& config) {
  return torch::nn::Dropout(config.dropout_or_default());
}

}  // namespace

RmsNormImpl::RmsNormImpl(std::int64_t dim)
    : weight_(register_parameter("weight", torch::ones({dim}))) {}

torch::Tensor RmsNormImpl::forward(const torch::Tensor& x) {
  return x * torch::rsqrt(x.square().mean(-1, /*keepdim=*/true) + kEpsilon) * weight_;
}

RotaryTable RotaryTable::make(std::int64_t time, std::int64_t head_dim) {
  const auto pairs = torch::arange(head_dim / 2, torch::kDouble);
  const auto frequencies =
      torch::exp(pairs * (-2.0 * std::log(kRotaryBase) / static_cast<double>(head_dim)));
  const auto angles = torch::outer(torch::arange(time, torch::kDouble), frequencies);
  const auto dtype = c10::get_default_dtype_as_scalartype();
  return {angles.cos().to(dtype), angles.sin().to(dtype)};
}

torch::Tensor rotate(const torch::Tensor& x, const RotaryTable& table) {
  const auto halves = x.chunk(2, -1);
  const auto cos = table.cos.slice(0, 0, x.size(2));
  const auto sin = table.sin.slice(0, 0, x.size(2));
  // Under autocast x has fewer bits than the table: turned in the table's type, as Llama's code does.
  return torch::cat({halves[0] * cos - halves[1] * sin, halves[0] * sin + halves[1] * cos}, -1)
      .to(x.scalar_type());
}

LlamaAttentionImpl::LlamaAttentionImpl(const DecoderConfig& config, const RotaryTable& rotary)
    : rotary_(rotary),
      head_dim_(config.head_dim()),
      query_(register_module("query", linear(config.dim, config.dim))),
      key_(register_module("key", linear(config.dim, config.kv_heads_or_default() * head_dim_))),
      value_(
          register_module("value", linear(config.dim, config.kv_heads_or_default() * head_dim_))),
      projection_(register_module("projection", linear(config.dim, config.dim))),
      causal_(register_module("causal", CausalAttention(config))),
      residual_dropout_(register_module("residual_dropout", dropout(config))) {}

torch::Tensor LlamaAttentionImpl::forward(const torch::Tensor& x) {
  const auto heads = [this, &x](torch::nn::Linear& linear) {  // (B, T, C) -> (B, H, T, D)
    return linear->forward(x).unflatten(2, {-1, head_dim_}).transpose(1, 2);
  };
  const auto q = rotate(heads(query_), rotary_);
  const auto k = rotate(heads(key_), rotary_);
  return residual_dropout_->forward(projection_->forward(causal_->forward(q, k, heads(value_))));
}

LlamaBlockImpl::LlamaBlockImpl(const DecoderConfig& config, const RotaryTable& rotary)
    : attention_norm_(register_module("attention_norm", RmsNorm(config.dim))),
      attention_(register_module("attention", LlamaAttention(config, rotary))),
      mlp_norm_(register_module("mlp_norm", RmsNorm(config.dim))),
      mlp_gate_(register_module("mlp_gate", linear(config.dim, mlp_width(config.dim)))),
      mlp_in_(register_module("mlp_in", linear(config.dim, mlp_width(config.dim)))),
      mlp_out_(register_module("mlp_out", linear(mlp_width(config.dim), config.dim))),
      residual_dropout_(register_module("residual_dropout", dropout(config))) {}

torch::Tensor LlamaBlockImpl::forward(const torch::Tensor& x) {
  const auto attended = x + attention_->forward(attention_norm_->forward(x));
  const auto normed = mlp_norm_->forward(attended);
  const auto hidden = torch::silu(mlp_gate_->forward(normed)) * mlp_in_->forward(normed);
  return attended + residual_dropout_->forward(mlp_out_->forward(hidden));
}

LlamaImpl::LlamaImpl(const DecoderConfig& config)
    : Decoder(config),
      final_norm_(register_module("final_norm", RmsNorm(config.dim))),
      head_(register_module("head", linear(config.dim, config.vocab))) {
  // One table for all blocks, registered once: it moves with the model and counts once.
  const auto rotary = RotaryTable::make(config.seq, config.head_dim());
  register_buffer("rotary_cos", rotary.cos);
  register_buffer("rotary_sin", rotary.sin);
  for (std::int64_t i = 0; i < config.layers; ++i) add_block(LlamaBlock(config, rotary));
  initialise();
}

torch::Tensor LlamaImpl::head(const torch::Tensor& x) {
  return head_->forward(final_norm_->forward(x));
}

}  // namespace remat::models

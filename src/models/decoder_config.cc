#include "models/decoder_config.h"

#include <fmt/format.h>

#include <remat/error.h>

#include "base/check.h"

namespace remat::models {
namespace {

// Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", section 4.1:
// 0.1 for residual, embedding and attention dropout. Llama names none.
constexpr double kGpt2Dropout = 0.1;

void check_size(const char* flag, std::int64_t value) {
  REMAT_CHECK(value >= 1, InvalidArgument, "{} {}: must be at least 1; give a positive number", flag,
              value);
}

std::int64_t largest_divisor_up_to(std::int64_t limit, std::int64_t number) {
  std::int64_t divisor = limit < number ? limit : number;
  while (number % divisor != 0) --divisor;
  return divisor;
}

void check_sizes(const DecoderConfig& config) {
  check_size("--layers", config.layers);
  check_size("--dim", config.dim);
  check_size("--heads", config.heads);
  check_size("--kv-heads", config.kv_heads_or_default());
  check_size("--seq", config.seq);
  check_size("--vocab", config.vocab);
}

void check_heads(const DecoderConfig& config) {
  REMAT_CHECK(config.dim % config.heads == 0, InvalidArgument,
              "--heads {} does not divide --dim {}: every head takes dim / heads channels; try "
              "--heads {}",
              config.heads, config.dim, largest_divisor_up_to(config.heads, config.dim));
  const auto kv_heads = config.kv_heads_or_default();
  REMAT_CHECK(config.style == DecoderStyle::kLlama || kv_heads == config.heads, InvalidArgument,
              "--kv-heads {} with --model gpt2: each of its {} heads has its own keys and values; "
              "leave --kv-heads out, or take --model llama",
              kv_heads, config.heads);
  REMAT_CHECK(config.heads % kv_heads == 0, InvalidArgument,
              "--kv-heads {} does not divide --heads {}: equally many heads share each; try "
              "--kv-heads {}",
              kv_heads, config.heads, largest_divisor_up_to(kv_heads, config.heads));
}

// Rotary positions turn channels in pairs.
void check_head_width(const DecoderConfig& config) {
  if (config.style != DecoderStyle::kLlama) return;
  const auto pairs = config.dim / 2;
  REMAT_CHECK(pairs * 2 == config.dim, InvalidArgument,
              "--dim {} with --model llama: must be even, its positions turn channels in pairs; try "
              "--dim {}",
              config.dim, config.dim + 1);
  REMAT_CHECK(config.head_dim() % 2 == 0, InvalidArgument,
              "--heads {} gives heads of {} channels at --dim {}: --model llama turns channels in "
              "pairs, their number must be even; try --heads {}",
              config.heads, config.head_dim(), config.dim,
              largest_divisor_up_to(config.heads, pairs));
}

void check_dropout(const DecoderConfig& config) {
  const double dropout = config.dropout_or_default();
  REMAT_CHECK(dropout >= 0.0 && dropout < 1.0, InvalidArgument,
              "--dropout {}: must be at least 0 and below 1; 0 turns dropout off", dropout);
  REMAT_CHECK(config.attention == AttentionKind::kMaterialized || dropout == 0.0, InvalidArgument,
              "--attention efficient cannot drop out attention weights, and --dropout is {}{}; "
              "give --dropout 0, or --attention materialized",
              dropout, config.dropout ? "" : " unless given");
}

template <class Value, std::size_t N>
const char* name_of(Value value, const std::array<Named<Value>, N>& names) {
  for (const auto& named : names) {
    if (named.value == value) return named.name;
  }
  return "unknown";
}

}  // namespace

double DecoderConfig::dropout_or_default() const {
  return dropout.value_or(style == DecoderStyle::kGpt2 ? kGpt2Dropout : 0.0);
}

std::string DecoderConfig::to_string() const {
  const auto shared = kv_heads_or_default() == heads
                          ? std::string()
                          : fmt::format(" ({} of keys and values)", *kv_heads);
  const auto how = attention == AttentionKind::kMaterialized
                       ? std::string()
                       : fmt::format(", {} attention", name_of(attention, kAttentionKinds));
  return fmt::format("{} of {} layers, dim {}, {} heads{}, dropout {}{}",
                     style == DecoderStyle::kGpt2 ? "GPT" : "Llama", layers, dim, heads, shared,
                     dropout_or_default(), how);
}

void DecoderConfig::validate() const {
  check_sizes(*this);
  check_heads(*this);
  check_head_width(*this);
  check_dropout(*this);
}

}  // namespace remat::models

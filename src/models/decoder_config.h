// What a decoder is made of: the sizes and choices that `remat train` and `remat verify` take as flags.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace remat::models {

/// A value and what people call it.
template <class Value>
struct Named {
  const char* name;
  Value value;
};

enum class DecoderStyle { kGpt2, kLlama };
inline constexpr std::array<Named<DecoderStyle>, 2> kDecoderStyles = {
    {{"gpt2", DecoderStyle::kGpt2}, {"llama", DecoderStyle::kLlama}}};

/// How attention computes: with its T x T weights in memory, or block by block, recomputing in
/// backward. See attention.h.
enum class AttentionKind { kMaterialized, kEfficient };
inline constexpr std::array<Named<AttentionKind>, 2> kAttentionKinds = {
    {{"materialized", AttentionKind::kMaterialized}, {"efficient", AttentionKind::kEfficient}}};

/// Sizes and choices of a Decoder. The defaults train at a few steps per second on two CPU cores.
struct DecoderConfig {
  DecoderStyle style = DecoderStyle::kGpt2;
  AttentionKind attention = AttentionKind::kMaterialized;
  std::int64_t layers = 6;
  std::int64_t dim = 192;
  std::int64_t heads = 6;
  std::optional<std::int64_t>
      kv_heads;            ///< heads of keys and values; as many as `heads` unless given
  std::int64_t seq = 256;  ///< the longest T the model takes
  std::int64_t vocab = 256;
  std::optional<double> dropout;  ///< unless given: GPT-2's 0.1, none in Llama

  std::int64_t head_dim() const { return dim / heads; }
  std::int64_t kv_heads_or_default() const { return kv_heads.value_or(heads); }
  double dropout_or_default() const;

  /// One line for people, as in "Llama of 6 layers, dim 192, 6 heads (2 of keys and values), dropout 0".
  std::string to_string() const;

  /// Errors: InvalidArgument that names the flag of `remat train`, its value and what to do, if a
  ///         size is below 1, heads do not divide as they must, `dropout` is not in [0, 1), or the
  ///         style or the attention cannot do what is asked.
  void validate() const;
};

}  // namespace remat::models

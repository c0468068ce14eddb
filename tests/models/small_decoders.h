// Decoders that take milliseconds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include "models/decoder.h"

namespace remat::models::testing {

inline constexpr std::int64_t kBatch = 3;

inline DecoderConfig small(DecoderStyle style = DecoderStyle::kGpt2, double dropout = 0.0,
                           AttentionKind attention = AttentionKind::kMaterialized) {
  DecoderConfig config;
  config.style = style;
  config.attention = attention;
  config.layers = 5;
  config.dim = 24;
  config.heads = 6;
  if (style == DecoderStyle::kLlama) config.kv_heads = 2;
  config.seq = 16;
  config.dropout = dropout;
  return config;
}

inline std::shared_ptr<Decoder> make(const DecoderConfig& config) {
  torch::manual_seed(7);
  return make_decoder(config);
}

inline torch::Tensor tokens_of(const DecoderConfig& config, std::int64_t length) {
  torch::manual_seed(11);
  return torch::randint(config.vocab, {kBatch, length}, torch::kLong);
}

/// Small decoders of both styles with both attentions, with dropout where it can be.
inline std::vector<DecoderConfig> all_small() {
  std::vector<DecoderConfig> configs;
  for (const auto style : {DecoderStyle::kGpt2, DecoderStyle::kLlama}) {
    configs.push_back(small(style));
    configs.push_back(small(style, 0.2));
    configs.push_back(small(style, 0.0, AttentionKind::kEfficient));
  }
  return configs;
}

inline std::string name_of(const ::testing::TestParamInfo<DecoderConfig>& info) {
  const auto& config = info.param;
  return std::string(config.style == DecoderStyle::kGpt2 ? "Gpt2" : "Llama") +
         (config.attention == AttentionKind::kEfficient ? "Efficient" : "Materialized") +
         (config.dropout_or_default() > 0 ? "Dropout" : "");
}

}  // namespace remat::models::testing

#include "models/decoder_config.h"

#include <cmath>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/error.h>

#include "models/gpt.h"
#include "tests/models/small_decoders.h"

namespace remat::models {
namespace {

using ::testing::HasSubstr;
using testing::small;

std::string refusal(const DecoderConfig& config) {
  try {
    config.validate();
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "accepted";
}

DecoderConfig with(std::int64_t DecoderConfig::*size, std::int64_t value) {
  auto config = small();
  config.*size = value;
  return config;
}

DecoderConfig llama(std::int64_t dim, std::int64_t heads, std::optional<std::int64_t> kv_heads) {
  auto config = small(DecoderStyle::kLlama);
  config.dim = dim;
  config.heads = heads;
  config.kv_heads = kv_heads;
  return config;
}

TEST(DecoderConfig, NamesTheFlagItsValueAndWhatToDo) {
  using Config = DecoderConfig;
  EXPECT_THAT(refusal(with(&Config::layers, 0)), HasSubstr("--layers 0: must be at least 1"));
  EXPECT_THAT(refusal(with(&Config::dim, -8)), HasSubstr("--dim -8: must be at least 1"));
  EXPECT_THAT(refusal(with(&Config::heads, 0)), HasSubstr("--heads 0: must be at least 1"));
  EXPECT_THAT(refusal(with(&Config::seq, 0)), HasSubstr("--seq 0: must be at least 1"));
  EXPECT_THAT(refusal(with(&Config::vocab, 0)), HasSubstr("--vocab 0: must be at least 1"));
  EXPECT_THAT(
      refusal(with(&Config::heads, 5)),
      HasSubstr("--heads 5 does not divide --dim 24: every head takes dim / heads channels; "
                "try --heads 4"));
  EXPECT_THAT(refusal(with(&Config::heads, 100)), HasSubstr("try --heads 24"));
  for (const double dropout : {-0.1, 1.0, std::nan("")}) {
    EXPECT_THAT(refusal(small(DecoderStyle::kGpt2, dropout)), HasSubstr("--dropout"));
  }
  for (const auto& config : testing::all_small()) EXPECT_EQ(refusal(config), "accepted");
  EXPECT_THROW(Gpt(with(&Config::heads, 5)), InvalidArgument);
}

TEST(DecoderConfig, ChecksHeadsThatShareKeys) {
  EXPECT_THAT(refusal(llama(24, 6, 0)), HasSubstr("--kv-heads 0: must be at least 1"));
  EXPECT_THAT(refusal(llama(24, 6, 4)),
              HasSubstr("--kv-heads 4 does not divide --heads 6: equally many heads share each; "
                        "try --kv-heads 3"));
  EXPECT_THAT(refusal(llama(24, 6, 12)), HasSubstr("try --kv-heads 6"));
  for (const std::int64_t kv_heads : {1, 2, 3, 6}) {
    EXPECT_EQ(refusal(llama(24, 6, kv_heads)), "accepted");
  }
  auto gpt = small();
  gpt.kv_heads = 3;
  EXPECT_THAT(refusal(gpt), HasSubstr("--kv-heads 3 with --model gpt2"));
  EXPECT_THAT(refusal(gpt), HasSubstr("take --model llama"));
  gpt.kv_heads = 6;
  EXPECT_EQ(refusal(gpt), "accepted");
}

TEST(DecoderConfig, ChecksThatRotatedChannelsPair) {
  EXPECT_THAT(refusal(llama(24, 8, 8)),
              HasSubstr("--heads 8 gives heads of 3 channels at --dim 24: --model llama turns "
                        "channels in pairs, their number must be even; try --heads 6"));
  EXPECT_THAT(refusal(llama(15, 3, 3)), HasSubstr("--dim 15 with --model llama: must be even"));
  EXPECT_EQ(refusal(with(&DecoderConfig::heads, 8)), "accepted");  // GPT-2 turns nothing
}

TEST(DecoderConfig, RefusesDropoutInEfficientAttention) {
  auto config = small(DecoderStyle::kGpt2, 0.3, AttentionKind::kEfficient);
  EXPECT_THAT(refusal(config),
              HasSubstr("--attention efficient cannot drop out attention weights, and --dropout "
                        "is 0.3; give --dropout 0, or --attention materialized"));
  config.dropout.reset();
  EXPECT_THAT(refusal(config), HasSubstr("--dropout is 0.1 unless given; give --dropout 0"));
  config.style = DecoderStyle::kLlama;
  EXPECT_EQ(refusal(config), "accepted");
}

TEST(DecoderConfig, DescribesItself) {
  EXPECT_EQ(DecoderConfig().to_string(), "GPT of 6 layers, dim 192, 6 heads, dropout 0.1");
  EXPECT_EQ(small(DecoderStyle::kLlama, 0.0, AttentionKind::kEfficient).to_string(),
            "Llama of 5 layers, dim 24, 6 heads (2 of keys and values), dropout 0, efficient "
            "attention");
}

}  // namespace
}  // namespace remat::models

#include "models/gpt.h"

#include <gtest/gtest.h>

#include <torch/torch.h>

#include "tests/models/small_decoders.h"

namespace remat::models {
namespace {

using testing::make;
using testing::small;

TEST(Gpt, InitialisesAsGpt2) {
  DecoderConfig config;
  config.layers = 2;
  config.dim = 256;
  config.heads = 4;
  const auto parameters = make(config)->named_parameters();
  const auto deviation = [&parameters](const char* name) {
    return parameters[name].std().item<double>();
  };
  EXPECT_NEAR(deviation("token_embedding.weight"), 0.02, 0.001);
  EXPECT_NEAR(deviation("block0.attention.qkv.weight"), 0.02, 0.001);
  EXPECT_NEAR(deviation("block1.attention.projection.weight"), 0.01, 0.001);
  EXPECT_NEAR(deviation("block1.mlp_out.weight"), 0.01, 0.001);
  EXPECT_EQ(parameters["block0.mlp_in.bias"].count_nonzero().item<int>(), 0);
  EXPECT_TRUE(torch::equal(parameters["final_norm.weight"], torch::ones({config.dim})));
}

TEST(Gpt, SharesTheHeadWithTheTokenEmbedding) {
  const auto config = small();
  std::int64_t count = 0;
  for (const auto& parameter : make(config)->parameters()) count += parameter.numel();
  const auto dim = config.dim;
  const auto block = 12 * dim * dim + 13 * dim;  // four matrices with biases, two LayerNorms
  EXPECT_EQ(count, (config.vocab + config.seq) * dim + config.layers * block + 2 * dim);
}

TEST(Gpt, DropsOutUnlessToldOtherwise) {
  EXPECT_EQ(DecoderConfig().dropout_or_default(), 0.1);
  auto config = small();
  config.dropout.reset();
  auto model = make(config);
  const auto tokens = testing::tokens_of(config, config.seq);
  EXPECT_FALSE(torch::equal(model->forward(tokens), model->forward(tokens)));
}

}  // namespace
}  // namespace remat::models

#include "models/llama.h"

#include <cmath>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include "tests/models/small_decoders.h"

namespace remat::models {
namespace {

using testing::make;
using testing::small;

constexpr double kDoubleRounding = 1e-12;

TEST(RmsNorm, DividesByTheRootOfTheMeanSquare) {
  RmsNorm norm(4);
  const auto x = torch::tensor({{1.0, -1.0, 1.0, -1.0}, {2.0, 4.0, 4.0, 8.0}}).to(torch::kFloat);
  const auto expected =
      torch::tensor({{1.0, -1.0, 1.0, -1.0}, {0.4, 0.8, 0.8, 1.6}}).to(torch::kFloat);
  EXPECT_TRUE(torch::allclose(norm->forward(x), expected, 1e-5, 1e-6));
  const torch::NoGradGuard no_grad;
  norm->parameters()[0].copy_(torch::tensor({1.0, 2.0, 3.0, 4.0}));
  EXPECT_TRUE(torch::allclose(norm->forward(x)[0],
                              torch::tensor({1.0, -2.0, 3.0, -4.0}).to(torch::kFloat), 1e-5, 1e-6));
  EXPECT_TRUE(norm->forward(torch::zeros({1, 4})).isfinite().all().item<bool>());
}

RotaryTable double_table(std::int64_t time, std::int64_t head_dim) {
  auto table = RotaryTable::make(time, head_dim);
  // Unit vectors again: the products below are compared to rounding of double.
  const auto angle = torch::atan2(table.sin.to(torch::kDouble), table.cos.to(torch::kDouble));
  return {angle.cos(), angle.sin()};
}

TEST(Rotate, TurnsPairsByPositionTimesFrequency) {
  const auto table = RotaryTable::make(8, 4);  // frequencies 1 and 10000^(-1/2)
  auto x = torch::zeros({1, 1, 8, 4});
  x.select(-1, 0).fill_(1);  // pair 0 is channels 0 and 2
  x.select(-1, 1).fill_(1);  // pair 1 is channels 1 and 3
  const auto y = rotate(x, table)[0][0];
  for (int t = 0; t < 8; ++t) {
    EXPECT_NEAR(y[t][0].item<double>(), std::cos(t), 1e-6);
    EXPECT_NEAR(y[t][2].item<double>(), std::sin(t), 1e-6);
    EXPECT_NEAR(y[t][1].item<double>(), std::cos(t * 0.01), 1e-6);
    EXPECT_NEAR(y[t][3].item<double>(), std::sin(t * 0.01), 1e-6);
  }
}

TEST(Rotate, KeepsLengths) {
  const auto x = torch::randn({2, 3, 16, 6}, torch::kDouble);
  const auto y = rotate(x, double_table(32, 6));
  EXPECT_TRUE(torch::allclose(x.norm(2, -1), y.norm(2, -1), kDoubleRounding, kDoubleRounding));
}

TEST(Rotate, MakesProductsDependOnTheDistanceAlone) {
  const std::int64_t time = 12;
  const auto query = torch::randn({8}, torch::kDouble);
  const auto key = torch::randn({8}, torch::kDouble);
  RotaryTable table;
  const auto frequencies = torch::tensor({1.0, 0.3, 0.1, 0.01}, torch::kDouble);
  const auto angles = torch::outer(torch::arange(time, torch::kDouble), frequencies);
  table.cos = angles.cos();
  table.sin = angles.sin();
  const auto q = rotate(query.expand({1, 1, time, 8}), table)[0][0];
  const auto k = rotate(key.expand({1, 1, time, 8}), table)[0][0];
  const auto products = q.matmul(k.t());  // (time, time)
  for (std::int64_t distance = 0; distance < time; ++distance) {
    const auto same_distance = products.diagonal(-distance);
    EXPECT_TRUE(torch::allclose(same_distance, same_distance[0].expand_as(same_distance),
                                kDoubleRounding, kDoubleRounding));
  }
  EXPECT_FALSE(torch::allclose(products[1][0], products[5][0]));
}

TEST(Rotate, GivesTheTypeItTook) {
  const auto x = torch::randn({1, 1, 4, 8}).to(torch::kBFloat16);
  EXPECT_EQ(rotate(x, RotaryTable::make(4, 8)).scalar_type(), torch::kBFloat16);
}

// In one layer nothing else tells earlier tokens apart: without rotation their order would not matter.
TEST(Llama, SeesTheOrderOfTokensInOneLayer) {
  auto config = small(DecoderStyle::kLlama);
  config.layers = 1;
  auto model = make(config);
  {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : model->parameters()) {
      if (parameter.dim() == 2) parameter.mul_(20);  // scores that are not all about zero
    }
  }
  const auto tokens = testing::tokens_of(config, config.seq);
  const auto last = [&](const torch::Tensor& x) { return model->forward(x).select(1, -1); };
  auto swapped = tokens.clone();
  swapped.select(1, 2).copy_(tokens.select(1, 9));
  swapped.select(1, 9).copy_(tokens.select(1, 2));
  EXPECT_GT((last(swapped) - last(tokens)).abs().max().item<double>(), 1e-3);
}

TEST(Llama, InitialisesAsGpt2) {
  DecoderConfig config;
  config.style = DecoderStyle::kLlama;
  config.layers = 2;
  config.dim = 256;
  config.heads = 4;
  const auto parameters = make(config)->named_parameters();
  const auto deviation = [&parameters](const char* name) {
    return parameters[name].std().item<double>();
  };
  EXPECT_NEAR(deviation("token_embedding.weight"), 0.02, 0.001);
  EXPECT_NEAR(deviation("head.weight"), 0.02, 0.001);
  EXPECT_NEAR(deviation("block0.attention.query.weight"), 0.02, 0.001);
  EXPECT_NEAR(deviation("block0.mlp_gate.weight"), 0.02, 0.001);
  EXPECT_NEAR(deviation("block1.attention.projection.weight"), 0.01, 0.001);
  EXPECT_NEAR(deviation("block1.mlp_out.weight"), 0.01, 0.001);
  EXPECT_TRUE(torch::equal(parameters["final_norm.weight"], torch::ones({config.dim})));
}

// Head and embedding apart, no biases, keys and values of two heads of four channels.
TEST(Llama, HasTheseParameters) {
  const auto config = small(DecoderStyle::kLlama);
  std::int64_t count = 0;
  for (const auto& item : make(config)->named_parameters()) {
    EXPECT_EQ(item.key().find("bias"), std::string::npos);
    count += item.value().numel();
  }
  const std::int64_t dim = 24;
  const std::int64_t mlp = 64;  // 8 * 24 / 3, which is a multiple of 32
  const auto block = 2 * dim * dim + 2 * dim * (2 * 4) + 3 * dim * mlp + 2 * dim;
  EXPECT_EQ(count, 2 * config.vocab * dim + config.layers * block + dim);
}

TEST(Llama, KeepsOneTableOfAngles) {
  const auto config = small(DecoderStyle::kLlama, 0.0, AttentionKind::kEfficient);
  auto model = make(config);
  ASSERT_EQ(model->buffers().size(), 2u);
  EXPECT_EQ(model->buffers()[0].sizes(), (std::vector<std::int64_t>{config.seq, 2}));
  // The blocks' handles move with the model's.
  const auto tokens = testing::tokens_of(config, config.seq);
  model->to(torch::kDouble);
  EXPECT_EQ(model->forward(tokens).scalar_type(), torch::kDouble);
}

TEST(Llama, DropsOutOnlyIfTold) {
  auto config = small(DecoderStyle::kLlama);
  config.dropout.reset();
  const auto tokens = testing::tokens_of(config, config.seq);
  auto model = make(config);
  EXPECT_TRUE(torch::equal(model->forward(tokens), model->forward(tokens)));
  config.dropout = 0.2;
  auto dropping = make(config);
  EXPECT_FALSE(torch::equal(dropping->forward(tokens), dropping->forward(tokens)));
}

}  // namespace
}  // namespace remat::models

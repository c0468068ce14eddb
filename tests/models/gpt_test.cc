#include "models/gpt.h"

#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/error.h>

namespace remat::models {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kBatch = 3;

GptConfig small(double dropout = 0.0) {
  GptConfig config;
  config.layers = 5;
  config.dim = 24;
  config.heads = 3;
  config.seq = 16;
  config.dropout = dropout;
  return config;
}

Gpt make(const GptConfig& config) {
  torch::manual_seed(7);
  return Gpt(config);
}

torch::Tensor tokens_of(const GptConfig& config, std::int64_t length) {
  torch::manual_seed(11);
  return torch::randint(config.vocab, {kBatch, length}, torch::kLong);
}

std::string refusal(const GptConfig& config) {
  try {
    config.validate();
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "accepted";
}

GptConfig with(std::int64_t GptConfig::*size, std::int64_t value) {
  auto config = small();
  config.*size = value;
  return config;
}

TEST(Gpt, GivesLogitsForEveryTokenOfEveryLengthUpToSeq) {
  const auto config = small();
  auto model = make(config);
  for (const std::int64_t length : {std::int64_t{1}, std::int64_t{9}, config.seq}) {
    const auto logits = model->forward(tokens_of(config, length));
    EXPECT_EQ(logits.sizes(), (std::vector<std::int64_t>{kBatch, length, config.vocab}));
  }
}

TEST(Gpt, DoesNotSeeLaterTokens) {
  const auto config = small();
  auto model = make(config);
  const auto tokens = tokens_of(config, config.seq);
  const auto before = model->forward(tokens);
  for (const std::int64_t changed : {std::int64_t{1}, std::int64_t{8}, config.seq - 1}) {
    auto other = tokens.clone();
    other.select(1, changed).add_(1).remainder_(config.vocab);
    const auto after = model->forward(other);
    EXPECT_TRUE(torch::equal(before.slice(1, 0, changed), after.slice(1, 0, changed)));
    EXPECT_FALSE(torch::equal(before.select(1, changed), after.select(1, changed)));
  }
}

TEST(Gpt, SeesEveryEarlierToken) {
  const auto config = small();
  auto model = make(config);
  const auto tokens = tokens_of(config, config.seq);
  auto other = tokens.clone();
  other.select(1, 0).add_(1).remainder_(config.vocab);
  const auto last = config.seq - 1;
  EXPECT_FALSE(
      torch::equal(model->forward(tokens).select(1, last), model->forward(other).select(1, last)));
}

TEST(Gpt, StartsAsUncertainAsUniform) {
  const auto config = small();
  auto model = make(config);
  const auto tokens = tokens_of(config, config.seq);
  // Not the tokens themselves: the tied head finds an embedded token most like itself.
  const auto targets = torch::randint_like(tokens, config.vocab);
  const auto loss = next_token_loss(model->forward(tokens), targets);
  EXPECT_NEAR(loss.item<double>(), std::log(256.0), 0.1);
}

TEST(Gpt, InitialisesAsGpt2) {
  GptConfig config;
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

TEST(Gpt, RefusesOtherTokens) {
  const auto config = small();
  auto model = make(config);
  EXPECT_THROW(model->forward(torch::zeros({4}, torch::kLong)), InvalidArgument);
  EXPECT_THROW(model->forward(torch::zeros({1, 4})), InvalidArgument);
  EXPECT_THROW(model->forward(torch::zeros({1, config.seq + 1}, torch::kLong)), InvalidArgument);
}

TEST(GptConfig, NamesTheFlagItsValueAndWhatToDo) {
  EXPECT_THAT(refusal(with(&GptConfig::layers, 0)), HasSubstr("--layers 0: must be at least 1"));
  EXPECT_THAT(refusal(with(&GptConfig::dim, -8)), HasSubstr("--dim -8: must be at least 1"));
  EXPECT_THAT(refusal(with(&GptConfig::heads, 0)), HasSubstr("--heads 0: must be at least 1"));
  EXPECT_THAT(refusal(with(&GptConfig::seq, 0)), HasSubstr("--seq 0: must be at least 1"));
  EXPECT_THAT(refusal(with(&GptConfig::vocab, 0)), HasSubstr("--vocab 0: must be at least 1"));
  EXPECT_THAT(
      refusal(with(&GptConfig::heads, 5)),
      HasSubstr("--heads 5 does not divide --dim 24: every head takes dim / heads channels; "
                "try --heads 4"));
  EXPECT_THAT(refusal(with(&GptConfig::heads, 100)), HasSubstr("try --heads 24"));
  for (const double dropout : {-0.1, 1.0, std::nan("")}) {
    EXPECT_THAT(refusal(small(dropout)), HasSubstr("--dropout"));
  }
  EXPECT_EQ(refusal(small()), "accepted");
  EXPECT_THROW(Gpt(with(&GptConfig::heads, 5)), InvalidArgument);
}

// ---- under placements ------------------------------------------------------------------------------

struct Step {
  std::vector<torch::Tensor> results;  // the loss, then every gradient
  int recomputed = 0;
};

template <class Forward>
Step step(Gpt& model, Forward forward) {
  Step step;
  model->observe_blocks([&step] { step.recomputed += is_recomputing() ? 1 : 0; });
  model->zero_grad();
  torch::manual_seed(3);
  const auto loss = forward();
  loss.backward();
  step.results.push_back(loss.detach());
  for (const auto& parameter : model->parameters()) {
    step.results.push_back(parameter.grad().clone());
  }
  model->observe_blocks(nullptr);
  return step;
}

class GptUnderPlacement : public ::testing::TestWithParam<double> {};

TEST_P(GptUnderPlacement, TrainsBitForBitAsWithout) {
  const auto config = small(GetParam());
  auto model = make(config);
  const auto tokens = tokens_of(config, config.seq);
  const auto plain = step(model, [&] { return next_token_loss(model->forward(tokens), tokens); });
  EXPECT_EQ(plain.recomputed, 0);
  const std::vector<std::pair<std::string, int>> placements = {
      {"none", 0}, {"full", 5}, {"every:2", 4}, {"segments:3", 4}, {"sqrt", 3}};
  for (const auto& [text, recomputed] : placements) {
    SCOPED_TRACE(text);
    const auto placement = Placement::parse(text);
    const auto placed =
        step(model, [&] { return next_token_loss(model->forward(tokens, placement), tokens); });
    EXPECT_EQ(placed.recomputed, recomputed);
    ASSERT_EQ(placed.results.size(), plain.results.size());
    for (std::size_t i = 0; i < plain.results.size(); ++i) {
      EXPECT_TRUE(torch::equal(placed.results[i], plain.results[i]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dropout, GptUnderPlacement, ::testing::Values(0.0, 0.2));

TEST(GptPlacement, NeedsAsManyLayersAsSegments) {
  const auto config = small();
  auto model = make(config);
  EXPECT_THROW(model->forward(tokens_of(config, 4), Placement::segments_of(6)), InvalidArgument);
}

TEST(GptPlacement, LearnsARepetitiveText) {
  auto config = small(0.1);
  config.layers = 2;
  auto model = make(config);
  torch::optim::AdamW optimizer(model->parameters(), torch::optim::AdamWOptions(3e-3));
  const auto tokens = torch::arange(config.seq + 1, torch::kLong).remainder(4).repeat({4, 1});
  const auto inputs = tokens.slice(1, 0, config.seq);
  const auto targets = tokens.slice(1, 1);
  double loss = 0;
  for (int i = 0; i < 120; ++i) {
    optimizer.zero_grad();
    const auto value = next_token_loss(model->forward(inputs, Placement::full()), targets);
    value.backward();
    optimizer.step();
    loss = value.item<double>();
  }
  EXPECT_LT(loss, 0.5);
}

}  // namespace
}  // namespace remat::models

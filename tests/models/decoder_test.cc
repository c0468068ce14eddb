#include "models/decoder.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/error.h>

#include "tests/models/small_decoders.h"

namespace remat::models {
namespace {

using testing::kBatch;
using testing::make;
using testing::tokens_of;

class Decoders : public ::testing::TestWithParam<DecoderConfig> {
 protected:
  const DecoderConfig& config() const { return GetParam(); }

  // One that gives the same logits twice.
  std::shared_ptr<Decoder> evaluating() const {
    auto model = make(config());
    model->eval();
    return model;
  }
};

INSTANTIATE_TEST_SUITE_P(All, Decoders, ::testing::ValuesIn(testing::all_small()),
                         testing::name_of);

TEST_P(Decoders, GiveLogitsForEveryTokenOfEveryLengthUpToSeq) {
  auto model = make(config());
  for (const std::int64_t length : {std::int64_t{1}, std::int64_t{9}, config().seq}) {
    const auto logits = model->forward(tokens_of(config(), length));
    EXPECT_EQ(logits.sizes(), (std::vector<std::int64_t>{kBatch, length, config().vocab}));
  }
}

TEST_P(Decoders, DoNotSeeLaterTokens) {
  auto model = evaluating();
  const auto tokens = tokens_of(config(), config().seq);
  const auto before = model->forward(tokens);
  for (const std::int64_t changed : {std::int64_t{1}, std::int64_t{8}, config().seq - 1}) {
    auto other = tokens.clone();
    other.select(1, changed).add_(1).remainder_(config().vocab);
    const auto after = model->forward(other);
    EXPECT_TRUE(torch::equal(before.slice(1, 0, changed), after.slice(1, 0, changed)));
    EXPECT_FALSE(torch::equal(before.select(1, changed), after.select(1, changed)));
  }
}

TEST_P(Decoders, SeeEveryEarlierTokenAndWhereItStands) {
  auto model = evaluating();
  const auto tokens = tokens_of(config(), config().seq);
  const auto last = config().seq - 1;
  const auto logits = model->forward(tokens).select(1, last);
  auto other = tokens.clone();
  other.select(1, 0).add_(1).remainder_(config().vocab);
  EXPECT_FALSE(torch::equal(logits, model->forward(other).select(1, last)));
  auto swapped = tokens.clone();
  swapped.select(1, 2).copy_(tokens.select(1, 9));
  swapped.select(1, 9).copy_(tokens.select(1, 2));
  // Not for rounding's sake: the same tokens at other places.
  EXPECT_FALSE(torch::allclose(logits, model->forward(swapped).select(1, last), 1e-4, 1e-5));
}

TEST_P(Decoders, StartAsUncertainAsUniform) {
  auto model = make(config());
  const auto tokens = tokens_of(config(), config().seq);
  // Not the tokens themselves: a tied head finds an embedded token most like itself.
  const auto targets = torch::randint_like(tokens, config().vocab);
  const auto loss = next_token_loss(model->forward(tokens), targets);
  EXPECT_NEAR(loss.item<double>(), std::log(256.0), 0.1);
}

TEST_P(Decoders, RefuseOtherTokens) {
  auto model = make(config());
  EXPECT_THROW(model->forward(torch::zeros({4}, torch::kLong)), InvalidArgument);
  EXPECT_THROW(model->forward(torch::zeros({1, 4})), InvalidArgument);
  EXPECT_THROW(model->forward(torch::zeros({1, config().seq + 1}, torch::kLong)), InvalidArgument);
}

TEST_P(Decoders, AreTheHeadOfTheLayersOfTheEmbeddedTokens) {
  auto model = evaluating();
  const auto tokens = tokens_of(config(), config().seq);
  auto x = model->embed(tokens);
  const auto layers = model->layers();
  EXPECT_EQ(layers.size(), 5u);
  for (const auto& layer : layers) x = layer(x);
  EXPECT_TRUE(torch::equal(model->head(x), model->forward(tokens)));
}

// ---- under placements ------------------------------------------------------------------------------

struct Step {
  std::vector<torch::Tensor> results;  // the loss, then every gradient
  int recomputed = 0;
};

template <class Forward>
Step step(Decoder& model, Forward forward) {
  Step step;
  model.observe_blocks([&step] { step.recomputed += is_recomputing() ? 1 : 0; });
  model.zero_grad();
  torch::manual_seed(3);
  const auto loss = forward();
  loss.backward();
  step.results.push_back(loss.detach());
  for (const auto& parameter : model.parameters()) {
    step.results.push_back(parameter.grad().clone());
  }
  model.observe_blocks(nullptr);
  return step;
}

TEST_P(Decoders, TrainUnderPlacementsBitForBitAsWithout) {
  auto model = make(config());
  const auto tokens = tokens_of(config(), config().seq);
  const auto plain = step(*model, [&] { return next_token_loss(model->forward(tokens), tokens); });
  EXPECT_EQ(plain.recomputed, 0);
  const std::vector<std::pair<std::string, int>> placements = {
      {"none", 0}, {"full", 5}, {"every:2", 4}, {"segments:3", 4}, {"sqrt", 3}};
  for (const auto& [text, recomputed] : placements) {
    SCOPED_TRACE(text);
    const auto placement = Placement::parse(text);
    const auto placed =
        step(*model, [&] { return next_token_loss(model->forward(tokens, placement), tokens); });
    EXPECT_EQ(placed.recomputed, recomputed);
    ASSERT_EQ(placed.results.size(), plain.results.size());
    for (std::size_t i = 0; i < plain.results.size(); ++i) {
      EXPECT_TRUE(torch::equal(placed.results[i], plain.results[i]));
    }
  }
}

TEST_P(Decoders, NeedAsManyLayersAsSegments) {
  auto model = make(config());
  EXPECT_THROW(model->forward(tokens_of(config(), 4), Placement::segments_of(6)), InvalidArgument);
}

TEST_P(Decoders, LearnARepetitiveText) {
  auto two_layers = config();
  two_layers.layers = 2;
  auto model = make(two_layers);
  torch::optim::AdamW optimizer(model->parameters(), torch::optim::AdamWOptions(3e-3));
  const auto tokens = torch::arange(config().seq + 1, torch::kLong).remainder(4).repeat({4, 1});
  const auto inputs = tokens.slice(1, 0, config().seq);
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

// The same weights and tokens: only how attention is computed differs.
TEST(DecodersAttention, IsTheSameModelToRounding) {
  for (const auto style : {DecoderStyle::kGpt2, DecoderStyle::kLlama}) {
    const auto materialized = testing::small(style);
    const auto efficient = testing::small(style, 0.0, AttentionKind::kEfficient);
    const auto tokens = tokens_of(materialized, materialized.seq);
    auto results = [&tokens](const DecoderConfig& config) {
      auto model = make(config);
      return step(*model, [&] { return next_token_loss(model->forward(tokens), tokens); }).results;
    };
    const auto expected = results(materialized);
    const auto found = results(efficient);
    ASSERT_EQ(found.size(), expected.size());
    // Sums of a few hundred float32 terms of at most 1: errors of some 1e-7 each.
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_TRUE(torch::allclose(found[i], expected[i], 1e-4, 1e-6)) << i;
    }
  }
}

TEST(DecodersAttention, KeepsNoMaskIfEfficient) {
  EXPECT_EQ(make(testing::small())->buffers().size(), 5u);
  EXPECT_EQ(
      make(testing::small(DecoderStyle::kGpt2, 0.0, AttentionKind::kEfficient))->buffers().size(),
      0u);
}

}  // namespace
}  // namespace remat::models

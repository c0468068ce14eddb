#include "models/sampling.h"

#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/error.h>

namespace remat::models {
namespace {

// After each token, the same logits: log(3) for 'a', log(2) for 'b', 0 for 'c', next to nothing for others.
class FixedDecoder : public Decoder {
 public:
  explicit FixedDecoder(const DecoderConfig& config) : Decoder(config) {}
  torch::Tensor head(const torch::Tensor& x) override {
    longest = std::max(longest, x.size(1));
    auto logits = torch::full({1, x.size(1), 256}, lowest);
    const auto last = logits[0][-1];
    last['a'] = std::log(3.0);
    last['b'] = std::log(2.0);
    last['c'] = 0.0;
    return logits;
  }

  double lowest = -100;
  std::int64_t longest = 0;
};

DecoderConfig small() {
  DecoderConfig config;
  config.layers = 1;
  config.dim = 4;
  config.heads = 1;
  config.seq = 8;
  return config;
}

std::map<char, double> shares_of(const std::string& text) {
  std::map<char, double> shares;
  for (const char byte : text) shares[byte] += 1.0 / static_cast<double>(text.size());
  return shares;
}

SamplingOptions many() {
  SamplingOptions options;
  options.tokens = 2000;
  return options;
}

TEST(Sampling, DrawsBytesAsOftenAsTheyAreLikely) {
  FixedDecoder decoder(small());
  auto shares = shares_of(sample(decoder, "x", many()));
  EXPECT_NEAR(shares['a'], 3.0 / 6, 0.04);  // standard deviation 0.011
  EXPECT_NEAR(shares['b'], 2.0 / 6, 0.04);
  EXPECT_NEAR(shares['c'], 1.0 / 6, 0.04);
}

TEST(Sampling, DividesLogitsByTheTemperature) {
  FixedDecoder decoder(small());
  auto options = many();
  options.temperature = 0.5;  // squares what is exponentiated: 9 : 4 : 1
  EXPECT_NEAR(shares_of(sample(decoder, "x", options))['a'], 9.0 / 14, 0.04);
  options.temperature = 0;
  EXPECT_EQ(sample(decoder, "x", options), std::string(2000, 'a'));
}

TEST(Sampling, ChoosesFromTheLikeliestOnly) {
  FixedDecoder decoder(small());
  auto options = many();
  options.top_k = 2;
  auto shares = shares_of(sample(decoder, "x", options));
  EXPECT_NEAR(shares['a'], 3.0 / 5, 0.04);
  EXPECT_EQ(shares.count('c'), 0u);
  options.top_k = 1;
  EXPECT_EQ(sample(decoder, "x", options), std::string(2000, 'a'));
}

TEST(Sampling, DependsOnTheSeedAndMovesNoGenerator) {
  FixedDecoder decoder(small());
  auto options = many();
  torch::manual_seed(1);
  const auto text = sample(decoder, "x", options);
  const auto drawn = torch::rand({4});
  EXPECT_EQ(sample(decoder, "x", options), text);
  options.seed = 2;
  EXPECT_NE(sample(decoder, "x", options), text);
  torch::manual_seed(1);
  EXPECT_TRUE(torch::equal(torch::rand({4}), drawn));
}

TEST(Sampling, ShowsTheModelNoMoreThanItTakes) {
  FixedDecoder decoder(small());
  auto options = many();
  options.tokens = 3;
  EXPECT_EQ(sample(decoder, std::string(100, 'x'), options).size(), 3u);
  EXPECT_EQ(decoder.longest, 8);
  EXPECT_EQ(sample(decoder, "", options).size(), 3u);
}

TEST(Sampling, RefusesLogitsThatAreNoNumbers) {
  FixedDecoder decoder(small());
  decoder.lowest = NAN;
  EXPECT_THROW(sample(decoder, "x", many()), Error);
}

// What the model sees is the prompt: a model that was trained continues it.
TEST(Sampling, ContinuesThePrompt) {
  torch::manual_seed(1);
  auto config = small();
  config.dim = 16;
  config.dropout = 0;
  const auto decoder = make_decoder(config);
  torch::optim::AdamW optimizer(decoder->parameters(), torch::optim::AdamWOptions(0.02));
  const auto text = torch::tensor({'a', 'b', 'c', 'd', 'a', 'b', 'c', 'd', 'a'}, torch::kLong);
  for (int step = 0; step < 60; ++step) {
    optimizer.zero_grad();
    const auto inputs = text.slice(0, 0, 8).unsqueeze(0);
    next_token_loss(decoder->forward(inputs), text.slice(0, 1, 9).unsqueeze(0)).backward();
    optimizer.step();
  }
  SamplingOptions likeliest;
  likeliest.tokens = 5;
  likeliest.temperature = 0;
  EXPECT_EQ(sample(*decoder, "abc", likeliest), "dabcd");
}

}  // namespace
}  // namespace remat::models

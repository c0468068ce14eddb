#include "models/lstm_language_model.h"

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/error.h>

#include "tests/models/learning.h"
#include "tests/models/placements.h"

namespace remat::models {
namespace {

LstmConfig small(std::int64_t layers, std::int64_t stretch = 0) {
  return {19, /*dim=*/16, layers, /*dropout=*/0.1, stretch};
}

TEST(LstmLanguageModel, GivesLogitsOfSequencesOfAnyLength) {
  LstmLanguageModel model(small(2));
  for (const std::int64_t length : {std::int64_t{1}, std::int64_t{200}}) {
    const auto logits = model->forward(torch::randint(19, {2, length}, torch::kLong));
    EXPECT_EQ(logits.sizes(), (std::vector<std::int64_t>{2, length, 19}));
  }
}

TEST(LstmLanguageModel, RemembersEarlierTokensAndDoesNotSeeLaterOnes) {
  torch::manual_seed(3);
  LstmLanguageModel model(small(1));
  model->eval();
  const auto tokens = torch::randint(19, {2, 9}, torch::kLong);
  auto other = tokens.clone();
  other.select(1, 4).add_(1).remainder_(19);
  const auto before = model->forward(tokens), after = model->forward(other);
  EXPECT_TRUE(torch::equal(before.slice(1, 0, 4), after.slice(1, 0, 4)));
  EXPECT_FALSE(torch::equal(before.select(1, 8), after.select(1, 8)));
}

TEST(LstmLanguageModel, IsTheSameModelInStretchesToRounding) {
  const auto logits = [](std::int64_t stretch) {
    torch::manual_seed(3);
    LstmLanguageModel model(small(2, stretch));
    model->eval();
    return model->forward(torch::randint(19, {2, 13}, torch::kLong));
  };
  for (const std::int64_t stretch : {1, 4, 13, 20}) {
    EXPECT_TRUE(torch::allclose(logits(stretch), logits(0), 1e-4, 1e-6)) << stretch;
  }
}

// Breaks if: a region starts from another state than the call before it left, or draws other dropout.
TEST(LstmLanguageModel, TrainsUnderPlacementsBitForBitAsWithout) {
  testing::expect_same_under_placements(
      [] { return LstmLanguageModel(small(2, /*stretch=*/4)); },
      [](const auto& forward) {
        const auto text = torch::randint(19, {3, 18}, torch::kLong);
        return torch::nn::functional::cross_entropy(forward(text.slice(1, 0, 17)).flatten(0, 1),
                                                    text.slice(1, 1).flatten());
      },
      {{"none", 0}, {"full", 5}, {"every:2", 2}, {"segments:3", 2}, {"sqrt", 1}});
}

TEST(LstmLanguageModel, NeedsAsManyStretchesAsSegments) {
  LstmLanguageModel model(small(1, /*stretch=*/4));
  const auto tokens = torch::randint(19, {2, 9}, torch::kLong);
  EXPECT_NO_THROW(model->forward(tokens, Placement::segments_of(3)));
  EXPECT_THROW(model->forward(tokens, Placement::segments_of(4)), InvalidArgument);
}

TEST(LstmLanguageModel, LearnsARepetitiveText) {
  torch::manual_seed(3);
  LstmLanguageModel model(small(2));
  const auto text = torch::arange(13, torch::kLong).remainder(4).repeat({4, 1});
  testing::expect_learns(*model, [&] {
    return torch::nn::functional::cross_entropy(model->forward(text.slice(1, 0, 12)).flatten(0, 1),
                                                text.slice(1, 1).flatten());
  });
}

}  // namespace
}  // namespace remat::models

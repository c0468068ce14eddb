#include "models/lstm_language_model.h"

#include <gtest/gtest.h>

#include <torch/torch.h>

#include "tests/models/learning.h"

namespace remat::models {
namespace {

LstmConfig small(std::int64_t layers) { return {19, /*dim=*/16, layers, /*dropout=*/0.1}; }

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

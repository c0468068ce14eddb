#include "models/encoder_decoder.h"

#include <gtest/gtest.h>

#include <torch/torch.h>

#include "tests/models/learning.h"

namespace remat::models {
namespace {

EncoderDecoderConfig small() {
  return {19, /*dim=*/16, /*heads=*/2, /*layers=*/2, /*mlp_dim=*/32, /*seq=*/12, /*dropout=*/0.1};
}

TEST(EncoderDecoder, GivesLogitsOfTheTarget) {
  EncoderDecoder model(small());
  const auto logits = model->forward(torch::randint(19, {3, 12}, torch::kLong),
                                     torch::randint(19, {3, 7}, torch::kLong));
  EXPECT_EQ(logits.sizes(), (std::vector<std::int64_t>{3, 7, 19}));
}

TEST(EncoderDecoder, SeesAllOfTheSourceButNoLaterTarget) {
  torch::manual_seed(3);
  EncoderDecoder model(small());
  model->eval();
  const auto source = torch::randint(19, {2, 10}, torch::kLong);
  const auto target = torch::randint(19, {2, 8}, torch::kLong);
  const auto logits = model->forward(source, target);
  auto other = target.clone();
  other.select(1, 5).add_(1).remainder_(19);
  const auto later = model->forward(source, other);
  EXPECT_TRUE(torch::equal(logits.slice(1, 0, 5), later.slice(1, 0, 5)));
  EXPECT_FALSE(torch::equal(logits.select(1, 5), later.select(1, 5)));
  auto end = source.clone();
  end.select(1, 9).add_(1).remainder_(19);
  EXPECT_FALSE(torch::equal(logits.select(1, 0), model->forward(end, target).select(1, 0)));
}

TEST(EncoderDecoder, LearnsToCopy) {
  torch::manual_seed(3);
  EncoderDecoder model(small());
  const auto source = torch::arange(12, torch::kLong).remainder(4).repeat({4, 1});
  testing::expect_learns(*model, [&] {
    const auto logits = model->forward(source, source.slice(1, 0, 11));
    return torch::nn::functional::cross_entropy(logits.flatten(0, 1), source.slice(1, 1).flatten());
  });
}

}  // namespace
}  // namespace remat::models

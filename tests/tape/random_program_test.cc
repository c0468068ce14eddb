#include "tests/tape/random_program.h"

#include <string>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include "tests/tape/budget_harness.h"

namespace remat::testing {
namespace {

constexpr std::uint64_t kSeeds = 300;

TEST(RandomPrograms, RepeatThemselvesBitForBit) {
  const TrainingOptions options{ZooOptimizer::kSgdMomentum, /*steps=*/2};
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    const auto once = train(random_program(seed), options);
    expect_equal(once, train(random_program(seed), options));
    if (::testing::Test::HasFailure()) break;
  }
}

// Otherwise the test above compares little: programs that autograd refuses, that give no gradients or
// infinite ones, or that are all alike.
TEST(RandomPrograms, AreLegalAndOfEveryKindAndTrainTheirParameters) {
  constexpr int kPrograms = 100;
  int refused = 0, trained = 0;
  std::string text;
  for (std::uint64_t seed = 0; seed < kPrograms; ++seed) {
    SCOPED_TRACE(seed);
    torch::manual_seed(17);
    const RandomProgram program(seed);
    text += program.text();
    refused += program.refused();
    const auto loss = program.loss(1);
    ASSERT_TRUE(loss.isfinite().item<bool>()) << program.text();
    loss.backward();
    for (const auto& parameter : program.parameters()) {
      if (!parameter.grad().defined()) continue;
      ASSERT_TRUE(parameter.grad().isfinite().all().item<bool>()) << program.text();
      trained += parameter.grad().count_nonzero().item<std::int64_t>() > 0 ? 1 : 0;
    }
  }
  EXPECT_GT(trained, 2 * kPrograms);  // of four each
  EXPECT_LT(refused, kPrograms);
  EXPECT_GT(refused, 0);  // or no write was ever tried where it may be wrong
  for (const char* name :
       {"matmul",         "add(",    "mul_detached", "expand",        "select",    "reshape",
        "stack",          "cat(",    "chunk",        "unbind",        "dropout",   "rrelu",
        "mul_bernoulli(", "softmax", "layer_norm",   "where",         "gather",    "to_double",
        "to_bfloat16",    "region",  "filled_empty", ".masked_fill_", ".sigmoid_", ").tanh_",
        "mul_bernoulli_", "loss += "}) {
    EXPECT_NE(text.find(name), std::string::npos) << name;
  }
}

// A failure can be told by its seed.
TEST(RandomPrograms, FollowFromTheirSeed) {
  torch::manual_seed(1);
  const RandomProgram once(5), other(6);
  torch::manual_seed(2);
  EXPECT_EQ(RandomProgram(5).text(), once.text());
  EXPECT_NE(once.text(), other.text());
}

}  // namespace
}  // namespace remat::testing

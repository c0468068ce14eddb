#include "tests/tape/model_zoo.h"

#include <set>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include "tests/tape/budget_harness.h"

namespace remat::testing {
namespace {

class ModelZoo : public ::testing::TestWithParam<ZooModel> {};

INSTANTIATE_TEST_SUITE_P(All, ModelZoo, ::testing::ValuesIn(model_zoo()),
                         [](const auto& made) { return made.param.name; });

// What the comparison of any other run with this one rests upon.
TEST_P(ModelZoo, RepeatsItselfBitForBit) {
  for (const auto optimizer : optimizers_for(GetParam())) {
    const auto once = train(GetParam(), {optimizer, /*steps=*/3});
    expect_equal(once, train(GetParam(), {optimizer, /*steps=*/3}));
  }
}

TEST_P(ModelZoo, TrainsEveryParameterOnFiniteNumbers) {
  const auto model = GetParam().make();
  for (int step = 0; step < 2; ++step) {
    const auto loss = model->loss(step);
    ASSERT_EQ(loss.dim(), 0);
    EXPECT_TRUE(loss.isfinite().item<bool>());
    loss.backward();
  }
  for (const auto& parameter : model->parameters()) {
    ASSERT_TRUE(parameter.grad().defined());
    const auto gradient = parameter.grad().to_dense();
    EXPECT_TRUE(gradient.isfinite().all().item<bool>());
    EXPECT_TRUE(gradient.numel() == 0 || gradient.count_nonzero().item<std::int64_t>() > 0);
  }
}

TEST(ModelZooList, HasNoNameTwice) {
  std::set<std::string> names;
  for (const auto& model : model_zoo()) EXPECT_TRUE(names.insert(model.name).second) << model.name;
  EXPECT_GT(names.size(), 60U);
}

}  // namespace
}  // namespace remat::testing

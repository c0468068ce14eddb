#include "cli/loss_scaler.h"

#include <limits>

#include <gtest/gtest.h>

#include <torch/torch.h>

namespace remat::cli {
namespace {

TEST(LossScaler, DividesGradientsByItsScale) {
  const LossScaler scaler;
  EXPECT_EQ(scaler.scale(), 65536.0);
  const auto gradient = torch::full({3}, 65536.0F * 0.25F);
  EXPECT_TRUE(scaler.unscale({gradient}));
  EXPECT_TRUE(torch::equal(gradient, torch::full({3}, 0.25F)));
}

TEST(LossScaler, FindsWhatIsNotFiniteInAnyGradient) {
  const LossScaler scaler;
  const auto good = torch::ones({2});
  for (const float bad :
       {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_FALSE(scaler.unscale({torch::tensor({1.0F, bad}), good}));
    EXPECT_FALSE(scaler.unscale({good, torch::tensor({1.0F, bad})}));
  }
  EXPECT_TRUE(scaler.unscale({good}));
}

TEST(LossScaler, HalvesAfterAnOverflowAndStartsCountingAnew) {
  LossScaler scaler;
  for (int step = 0; step < 1999; ++step) scaler.update(true);
  scaler.update(false);
  EXPECT_EQ(scaler.scale(), 32768.0);
  EXPECT_EQ(scaler.good_steps(), 0);
  for (int step = 0; step < 1999; ++step) scaler.update(true);
  EXPECT_EQ(scaler.scale(), 32768.0);
}

TEST(LossScaler, DoublesAfterTwoThousandGoodSteps) {
  LossScaler scaler;
  for (int step = 0; step < 1999; ++step) scaler.update(true);
  EXPECT_EQ(scaler.scale(), 65536.0);
  scaler.update(true);
  EXPECT_EQ(scaler.scale(), 131072.0);
  EXPECT_EQ(scaler.good_steps(), 0);
}

TEST(LossScaler, StaysWhatFloatCanHold) {
  LossScaler scaler;
  const double largest = 0x1p127;
  scaler.restore(largest, LossScaler::kGrowthInterval - 1);
  scaler.update(true);
  EXPECT_EQ(scaler.scale(), largest);
  EXPECT_EQ(scaler.good_steps(), 0);
}

}  // namespace
}  // namespace remat::cli

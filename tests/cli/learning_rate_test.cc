#include "cli/learning_rate.h"

#include <gtest/gtest.h>

#include <remat/error.h>

#include "cli/step_options.h"

namespace remat::cli {
namespace {

TEST(LearningRates, RiseLinearlyFallAsACosineAndStay) {
  const LearningRate rate{1.0, 0.1, 4, 14};
  EXPECT_DOUBLE_EQ(rate.at(0), 0.25);
  EXPECT_DOUBLE_EQ(rate.at(3), 1.0);
  EXPECT_DOUBLE_EQ(rate.at(4), 1.0);
  EXPECT_DOUBLE_EQ(rate.at(9), 0.55);       // halfway
  EXPECT_GT(rate.at(6), 0.1 + 0.9 * 0.8);   // above the straight line before the middle,
  EXPECT_LT(rate.at(12), 0.1 + 0.9 * 0.2);  // below it after
  EXPECT_DOUBLE_EQ(rate.at(14), 0.1);
  EXPECT_DOUBLE_EQ(rate.at(1000), 0.1);
}

TEST(LearningRates, StayAtThePeakWithoutMinLr) {
  const auto rate = learning_rate({}, 0.3, 10);
  for (const std::int64_t step : {0, 5, 10, 99}) EXPECT_EQ(rate.at(step), 0.3);
}

TEST(LearningRates, DecayOverAllStepsUnlessToldOtherwise) {
  StepOptions options;
  options.min_lr = 0.0;
  EXPECT_EQ(learning_rate(options, 1.0, 10).decay_steps, 10);
  options.decay_steps = 7;
  EXPECT_EQ(learning_rate(options, 1.0, 10).decay_steps, 7);
  options.warmup = 7;
  EXPECT_EQ(learning_rate(options, 1.0, 10).at(6), 1.0);
  EXPECT_EQ(learning_rate(options, 1.0, 10).at(7), 0.0);
}

}  // namespace
}  // namespace remat::cli

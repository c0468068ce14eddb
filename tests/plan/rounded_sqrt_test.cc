#include "plan/rounded_sqrt.h"

#include <cstdint>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace remat::plan {
namespace {

TEST(RoundedSqrt, RoundsToTheNearestInteger) {
  EXPECT_EQ(rounded_sqrt(0), 0);
  EXPECT_EQ(rounded_sqrt(1), 1);
  EXPECT_EQ(rounded_sqrt(2), 1);   // 1.41
  EXPECT_EQ(rounded_sqrt(3), 2);   // 1.73
  EXPECT_EQ(rounded_sqrt(6), 2);   // 2.45
  EXPECT_EQ(rounded_sqrt(7), 3);   // 2.65
  EXPECT_EQ(rounded_sqrt(12), 3);  // 3.46
  EXPECT_EQ(rounded_sqrt(16), 4);
}

// sqrt(n) < r + 1/2 exactly if n <= r (r + 1), for integers. The largest root is 3037000500.
TEST(RoundedSqrt, ChangesExactlyHalfWayForEveryMagnitude) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 10000; ++i) {
    const auto root = static_cast<std::int64_t>(random() % 3037000499 >> (random() % 32));
    EXPECT_EQ(rounded_sqrt(root * (root + 1)), root);
    EXPECT_EQ(rounded_sqrt(root * (root + 1) + 1), root + 1);
  }
}

TEST(RoundedSqrt, IsExactAtTheLargestNumbers) {
  const std::int64_t root = 3037000499;
  EXPECT_EQ(rounded_sqrt(root * (root + 1)), root);
  EXPECT_EQ(rounded_sqrt(root * (root + 1) + 1), root + 1);
  EXPECT_EQ(rounded_sqrt(std::numeric_limits<std::int64_t>::max()), root + 1);
}

// s + n / s < t + n / t, multiplied by s t to stay with integers.
bool is_better(std::int64_t s, std::int64_t t, std::int64_t n) {
  return (s * s + n) * t < (t * t + n) * s;
}

TEST(RoundedSqrt, MinimisesKeptInputsPlusOneSegment) {
  for (std::int64_t n = 1; n <= 300; ++n) {
    for (std::int64_t s = 1; s <= n; ++s) {
      EXPECT_FALSE(is_better(s, rounded_sqrt(n), n)) << s << " segments of " << n << " layers";
    }
  }
}

}  // namespace
}  // namespace remat::plan

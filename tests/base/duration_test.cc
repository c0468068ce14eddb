#include "base/duration.h"

#include <gtest/gtest.h>

namespace remat {
namespace {

TEST(Duration, HaveThreeDigitsAndAUnit) {
  EXPECT_EQ(format_duration_ns(0), "0 ns");
  EXPECT_EQ(format_duration_ns(999), "999 ns");
  EXPECT_EQ(format_duration_ns(1'500), "1.50 us");
  EXPECT_EQ(format_duration_ns(87'100), "87.1 us");
  EXPECT_EQ(format_duration_ns(203'600'000), "204 ms");
  EXPECT_EQ(format_duration_ns(999'600'000), "1.00 s");
  EXPECT_EQ(format_duration_ns(1'530'000'000), "1.53 s");
  EXPECT_EQ(format_duration_ns(123'456'000'000), "123 s");
}

}  // namespace
}  // namespace remat

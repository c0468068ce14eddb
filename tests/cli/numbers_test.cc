#include "cli/numbers.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace remat::cli {
namespace {

bool accepts(const CLI::Validator& validator, std::string text) { return validator(text).empty(); }

TEST(Numbers, WholeNumbersHaveBounds) {
  const auto validator = whole_number(1, 100);
  for (const char* text : {"1", "42", "100", "007"}) EXPECT_TRUE(accepts(validator, text)) << text;
  for (const char* text : {"0", "101", "-1", "1.0", "1e1", "0x1", "", "18446744073709551617"}) {
    EXPECT_FALSE(accepts(validator, text)) << text;
  }
  const auto any = whole_number(0, std::numeric_limits<std::int64_t>::max());
  EXPECT_TRUE(accepts(any, "9223372036854775807"));
  EXPECT_FALSE(accepts(any, "9223372036854775808"));
}

TEST(Numbers, WholeNumbersReachCli11WithoutLeadingZeros) {
  std::string text = "010";
  EXPECT_EQ(whole_number(1, 100)(text), "");
  EXPECT_EQ(text, "10");
}

TEST(Numbers, RealNumbersAreFinite) {
  for (const char* text : {"0", "-0.5", "1e-3", "3"}) EXPECT_TRUE(accepts(finite_number(), text));
  for (const char* text : {"nan", "inf", "1e999", "", "one", "1 ", "0.1.2"}) {
    EXPECT_FALSE(accepts(finite_number(), text)) << text;
  }
  EXPECT_TRUE(accepts(positive_number(), "1e-9"));
  EXPECT_FALSE(accepts(positive_number(), "0"));
  EXPECT_FALSE(accepts(positive_number(), "-1"));
}

}  // namespace
}  // namespace remat::cli

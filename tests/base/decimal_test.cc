#include "base/decimal.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace remat {
namespace {

TEST(Decimal, ReadsDigits) {
  EXPECT_EQ(parse_decimal("0"), 0);
  EXPECT_EQ(parse_decimal("12"), 12);
}

TEST(Decimal, ReadsTheLargestNumberAndNoLarger) {
  EXPECT_EQ(parse_decimal("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(parse_decimal("9223372036854775808"), std::nullopt);
  EXPECT_EQ(parse_decimal("18446744073709551617"), std::nullopt);  // 1 modulo 2^64
}

TEST(Decimal, IgnoresLeadingZerosHoweverMany) {
  EXPECT_EQ(parse_decimal("010"), 10);
  EXPECT_EQ(parse_decimal(std::string(1000, '0') + "7"), 7);
}

TEST(Decimal, RefusesWhatIsNotOnlyDigits) {
  for (const std::string_view text : {"", " ", "+1", "-1", "-0", " 1", "1 ", "1.0", "1e3", "0x10",
                                      "1_000", "1,000", "\xd9\xa1" /* ARABIC-INDIC DIGIT ONE */}) {
    EXPECT_EQ(parse_decimal(text), std::nullopt) << text;
  }
}

TEST(Decimal, ReadsPastAnEmbeddedNul) {
  EXPECT_EQ(parse_decimal(std::string_view("1\0", 2)), std::nullopt);
}

}  // namespace
}  // namespace remat

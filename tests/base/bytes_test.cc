#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/bytes.h>
#include <remat/error.h>

namespace remat {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

std::int64_t parsed(std::string_view text) { return Bytes::parse(text).count(); }

TEST(Bytes, ParsesPlainCounts) {
  EXPECT_EQ(parsed("0"), 0);
  EXPECT_EQ(parsed("123"), 123);
  EXPECT_EQ(parsed("123B"), 123);
}

TEST(Bytes, ParsesBinaryAndDecimalUnits) {
  EXPECT_EQ(parsed("2KiB"), 2048);
  EXPECT_EQ(parsed("2MiB"), 2097152);
  EXPECT_EQ(parsed("2GiB"), 2147483648);
  EXPECT_EQ(parsed("2TiB"), 2199023255552);
  EXPECT_EQ(parsed("2kB"), 2000);
  EXPECT_EQ(parsed("2MB"), 2000000);
  EXPECT_EQ(parsed("2GB"), 2000000000);
  EXPECT_EQ(parsed("2TB"), 2000000000000);
}

TEST(Bytes, ParsesFractionsOfUnits) {
  EXPECT_EQ(parsed("1.5KiB"), 1536);
  EXPECT_EQ(parsed("1.5MiB"), 1572864);
  EXPECT_EQ(parsed("1.5GiB"), 1610612736);
  EXPECT_EQ(parsed("1.5TiB"), 1649267441664);
  EXPECT_EQ(parsed("0.5kB"), 500);
  EXPECT_EQ(parsed("1.234567890123TB"), 1234567890123);
}

TEST(Bytes, IgnoresZerosThatMeanNothing) {
  EXPECT_EQ(parsed("007B"), 7);
  EXPECT_EQ(parsed("1.50KiB"), 1536);
  EXPECT_EQ(parsed("1.0GiB"), 1073741824);
  EXPECT_EQ(parsed(std::string(1000, '0') + "1"), 1);
}

TEST(Bytes, RoundsFractionsDownToWholeBytes) {
  EXPECT_EQ(parsed("1.0009KiB"), 1024);  // 1024.92
  EXPECT_EQ(parsed("0.0009KiB"), 0);
  EXPECT_EQ(parsed("0.9999kB"), 999);
}

// 0.1 is no binary fraction: 0.1 * 10^12 in doubles is right by luck, 0.3 - 0.1 is not.
TEST(Bytes, HasNoRoundingErrors) {
  EXPECT_EQ(parsed("0.1TB"), 100000000000);
  EXPECT_EQ(parsed("1.001kB"), 1001);
  EXPECT_EQ(parsed("4.35kB"), 4350);  // 4.35 * 1000 == 4349.999... in doubles
  EXPECT_EQ(parsed("9007.199254740993TB"), 9007199254740993);  // 2^53 + 1, no double
}

TEST(Bytes, IsExactHoweverManyDigitsAFractionHas) {
  EXPECT_EQ(parsed("0." + std::string(100000, '9') + "TiB"), 1099511627775);
  EXPECT_EQ(parsed("0.5" + std::string(100000, '0') + "TiB"), 549755813888);
  // One byte of a TiB is 2^-40, which has forty digits. The last one decides.
  EXPECT_EQ(parsed("0.0000000000009094947017729282379150390625TiB"), 1);
  EXPECT_EQ(parsed("0.0000000000009094947017729282379150390624TiB"), 0);
}

TEST(Bytes, ParsesUpToSixtyThreeBits) {
  EXPECT_EQ(parsed("9223372036854775807"), kLargest);
  EXPECT_EQ(parsed("9007199254740991.9999KiB"), kLargest);
  EXPECT_EQ(parsed("8388607TiB"), 8388607 * (std::int64_t{1} << 40));
  EXPECT_EQ(parsed("8388607." + std::string(100, '9') + "TiB"), kLargest);
  EXPECT_EQ(parsed("9223372.036854775807TB"), kLargest);
}

TEST(Bytes, RefusesMoreThanSixtyThreeBits) {
  for (const char* text :
       {"9223372036854775808", "9223372036854775808B", "18446744073709551617",
        "9007199254740992KiB", "8388608TiB", "9223372.036854775808TB",
        "16777217TiB" /* 1 TiB modulo 2^64 */, "99999999999999999999999999999999TiB"}) {
    EXPECT_THAT([text] { Bytes::parse(text); },
                ThrowsMessage<InvalidArgument>(HasSubstr("is too large a size")))
        << text;
  }
}

void expect_refused(std::initializer_list<std::string_view> texts) {
  for (const std::string_view text : texts) {
    EXPECT_THAT([text] { Bytes::parse(text); },
                ThrowsMessage<InvalidArgument>(HasSubstr("is not a size")))
        << testing::PrintToString(text);
  }
}

using namespace std::string_view_literals;  // keep embedded NULs

TEST(Bytes, RefusesTextWithoutANumber) {
  expect_refused({"", "B", "GiB", ".", ".GiB", "inf", "nan", "none"});
}

TEST(Bytes, RefusesFractionsOfBytesAndPointsWithoutDigitsOnBothSides) {
  expect_refused(
      {"1.5", "1.5B", "1.0", "1.0B", "1.", "1.GiB", ".5GiB", "1.5.5GiB", "1,5GiB", "1..5GiB"});
}

TEST(Bytes, RefusesOtherUnitsAndSpellings) {
  expect_refused({"1gib", "1GIB", "1Gib", "1GiBs", "1Gi", "1G", "1K", "1k", "1KB", "1kiB", "1mB",
                  "1b", "1PiB", "1GiBGiB", "1BB"});
}

TEST(Bytes, RefusesSigns) { expect_refused({"-1", "+1", "-0", "-1GiB", "--1", "1-", "1.-5GiB"}); }

TEST(Bytes, RefusesSpaces) { expect_refused({"1 GiB", " 1GiB", "1GiB ", "1\tGiB", "1GiB\n", " "}); }

TEST(Bytes, RefusesOtherNotations) {
  expect_refused({"1e3", "1e3B", "1E3GiB", "0x10", "0b1", "1_000", "1,000", "1'000", "½GiB",
                  "１GiB", "1\u00a0GiB", "1GіB" /* CYRILLIC I */});
}

TEST(Bytes, RefusesEmbeddedNuls) {
  expect_refused({"\0"sv, "1\0"sv, "1\0GiB"sv, "1GiB\0"sv, "\0001GiB"sv});
}

TEST(Bytes, NamesTheTextAndTheAcceptedForms) {
  EXPECT_THAT(
      [] { Bytes::parse("1 GiB"); },
      ThrowsMessage<InvalidArgument>(
          "\"1 GiB\" is not a size: write 123, 123B, 1.5KiB|MiB|GiB|TiB (powers of 1024) or "
          "2kB|MB|GB|TB (powers of 1000), without spaces or signs"));
}

TEST(Bytes, SaysWhatTheLargestSizeIs) {
  EXPECT_THAT([] { Bytes::parse("8388608TiB"); },
              ThrowsMessage<InvalidArgument>(
                  "\"8388608TiB\" is too large a size: the largest is 9223372036854775807 bytes, "
                  "just under 8388608TiB; write 123, 123B, 1.5KiB|MiB|GiB|TiB or 2kB|MB|GB|TB"));
}

TEST(Bytes, ShowsOnlyTheStartOfALongText) {
  EXPECT_THAT([] { Bytes::parse(std::string(1000000, 'x')); },
              ThrowsMessage<InvalidArgument>(StartsWith("\"" + std::string(60, 'x') + "...\"")));
}

TEST(Bytes, ShowsSizesBelowAKibibyteAsBytes) {
  EXPECT_EQ(Bytes(0).to_string(), "0 B");
  EXPECT_EQ(Bytes(512).to_string(), "512 B");
  EXPECT_EQ(Bytes(1023).to_string(), "1023 B");
}

TEST(Bytes, ShowsThreeDigitsOrMoreAndABinaryUnit) {
  EXPECT_EQ(Bytes(1024).to_string(), "1.00 KiB");
  EXPECT_EQ(Bytes::parse("1.5GiB").to_string(), "1.50 GiB");
  EXPECT_EQ(Bytes::parse("15.25GiB").to_string(), "15.3 GiB");
  EXPECT_EQ(Bytes::parse("218MiB").to_string(), "218 MiB");
  EXPECT_EQ(Bytes::parse("1023MiB").to_string(), "1023 MiB");
  EXPECT_EQ(Bytes::parse("2TiB").to_string(), "2.00 TiB");
}

TEST(Bytes, ShowsTheNearestValueAndTakesTheNextUnitWhenItRoundsUpToIt) {
  EXPECT_EQ(Bytes(10234).to_string(), "9.99 KiB");
  EXPECT_EQ(Bytes(10235).to_string(), "10.0 KiB");  // 9.9951 KiB, not "10.00 KiB"
  EXPECT_EQ(Bytes(102348).to_string(), "99.9 KiB");
  EXPECT_EQ(Bytes(102349).to_string(), "100 KiB");
  EXPECT_EQ(Bytes((1 << 20) - 513).to_string(), "1023 KiB");
  EXPECT_EQ(Bytes((1 << 20) - 512).to_string(), "1.00 MiB");
}

TEST(Bytes, ShowsTheLargestAndTheSmallest) {
  EXPECT_EQ(Bytes(kLargest).to_string(), "8388608 TiB");
  EXPECT_EQ(Bytes(std::numeric_limits<std::int64_t>::min()).to_string(), "-8388608 TiB");
}

TEST(Bytes, ShowsNegativeDifferencesWithASign) {
  EXPECT_EQ(Bytes(-1).to_string(), "-1 B");
  EXPECT_EQ((Bytes(0) - Bytes::parse("1.5GiB")).to_string(), "-1.50 GiB");
}

TEST(Bytes, ParsesBackEveryCount) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 10000; ++i) {
    const auto count = static_cast<std::int64_t>(random() >> (1 + random() % 63));
    EXPECT_EQ(parsed(std::to_string(count)), count);
    EXPECT_EQ(parsed(std::to_string(count) + "B"), count);
  }
}

// What is shown is within half a unit of its last digit, so within 0.5 % of the value.
TEST(Bytes, ShowsWhatParsesBackToWithinHalfAPercent) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 10000; ++i) {
    const auto count = static_cast<std::int64_t>(random() >> (2 + random() % 62));
    std::string text = Bytes(count).to_string();
    text.erase(text.find(' '), 1);
    const double difference = static_cast<double>(parsed(text)) - static_cast<double>(count);
    EXPECT_LE(std::abs(difference), 0.005 * static_cast<double>(count) + 1) << count << " " << text;
  }
}

TEST(Bytes, AddsSubtractsAndScales) {
  Bytes b = Bytes(10) + Bytes(5) - Bytes(1);
  b += Bytes(6);
  b -= Bytes(2);
  EXPECT_EQ(b, Bytes(18));
  EXPECT_EQ(b * 2, Bytes(36));
  EXPECT_EQ(2 * b, Bytes(36));
  EXPECT_EQ(b / 4, Bytes(4));
  EXPECT_EQ(-b, Bytes(-18));
}

TEST(Bytes, IsOrderedByCount) {
  EXPECT_LT(Bytes(1), Bytes(2));
  EXPECT_LE(Bytes(2), Bytes(2));
  EXPECT_GT(Bytes(2), Bytes(1));
  EXPECT_GE(Bytes(2), Bytes(2));
  EXPECT_NE(Bytes(1), Bytes(2));
  EXPECT_FALSE(Bytes(2) < Bytes(2) || Bytes(2) > Bytes(2) || Bytes(2) != Bytes(2));
}

TEST(Bytes, IsNeverMadeFromAnIntegerImplicitly) {
  static_assert(!std::is_convertible_v<std::int64_t, Bytes>);
  static_assert(!std::is_convertible_v<Bytes, std::int64_t>);
  static_assert(std::is_constructible_v<Bytes, std::int64_t>);
}

}  // namespace
}  // namespace remat

#include "report/text_table.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/error.h>

namespace remat::report {
namespace {

using testing::ThrowsMessage;

constexpr auto kRight = TextTable::Align::kRight;

TEST(TextTable, AlignsColumnsAsAsked) {
  TextTable table({{"policy"}, {"peak", kRight}, {"same"}});
  table.add_row({"none", "1023 MiB", "yes"});
  table.add_row({"segments:12", "9 MiB", "no"});
  EXPECT_EQ(table.to_string(),
            "policy           peak  same\n"
            "none         1023 MiB  yes\n"
            "segments:12     9 MiB  no\n");
}

TEST(TextTable, ShowsTheHeaderWithoutRows) {
  EXPECT_EQ(TextTable({{"policy"}, {"peak", kRight}}).to_string(), "policy  peak\n");
}

TEST(TextTable, LeavesNoTrailingBlanks) {
  TextTable table({{"policy"}, {"note"}});
  table.add_row({"none", ""});
  table.add_row({"", ""});
  table.add_row({"full", "slow  "});
  EXPECT_EQ(table.to_string(), "policy  note\nnone\n\nfull    slow\n");
}

TEST(TextTable, AlignsTextThatIsNotAscii) {
  TextTable table({{"name"}, {"time", kRight}});
  table.add_row({"日本", "10 µs"});
  table.add_row({"a", "3×"});
  EXPECT_EQ(table.to_string(),
            "name   time\n"
            "日本  10 µs\n"
            "a        3×\n");
}

TEST(TextTable, KeepsACellOnOneLine) {
  TextTable table({{"name"}, {"x"}});
  table.add_row({"a\nb\t\xff", "1"});
  EXPECT_EQ(table.to_string(),
            "name            x\n"
            "a\\x0ab\\x09\\xff  1\n");
}

TEST(TextTable, CutsTheFirstColumnWhereLinesWouldBeTooLong) {
  TextTable table({{"made by"}, {"bytes", kRight}}, 22);
  table.add_row({"encoder.layers.0.mlp: gelu", "9 MiB"});
  table.add_row({"fits: mul_", "1 KiB"});
  table.add_row({"another exactly", "1 KiB"});
  EXPECT_EQ(table.to_string(),
            "made by          bytes\n"
            "encode...: gelu  9 MiB\n"
            "fits: mul_       1 KiB\n"
            "another exactly  1 KiB\n");
}

TEST(TextTable, LeavesTheFirstColumnTwelveColumns) {
  TextTable table({{"made by"}, {"much wider"}}, 10);
  table.add_row({"encoder.layers.0.mlp: gelu", "1"});
  EXPECT_EQ(table.to_string(),
            "made by       much wider\n"
            "encod...gelu  1\n");
}

TEST(TextTable, MakesAHeaderPrintableToo) {
  EXPECT_EQ(TextTable({{"a\nb"}}).to_string(), "a\\x0ab\n");
}

TEST(TextTable, RefusesARowOfAnotherLength) {
  TextTable table({{"a"}, {"b"}});
  EXPECT_THAT([&] { table.add_row({"1"}); },
              ThrowsMessage<InvalidArgument>(
                  "TextTable::add_row: expected a cell for each of the 2 columns, got 1"));
  EXPECT_EQ(table.to_string(), "a  b\n");
}

}  // namespace
}  // namespace remat::report

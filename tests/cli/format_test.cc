#include "cli/format.h"

#include <gtest/gtest.h>

namespace remat::cli {
namespace {

TEST(Format, ClocksCountSecondsMinutesAndHours) {
  EXPECT_EQ(format_clock_ns(0), "0:00");
  EXPECT_EQ(format_clock_ns(41'500'000'000), "0:42");
  EXPECT_EQ(format_clock_ns(725'000'000'000), "12:05");
  EXPECT_EQ(format_clock_ns(11'229'000'000'000), "3:07:09");
}

TEST(Format, OpNamesAreWithoutTheirNamespace) {
  EXPECT_EQ(short_op_name("blocks.3.mlp: aten::addmm aten::mul_"), "blocks.3.mlp: addmm mul_");
  EXPECT_EQ(short_op_name("mylib::aten"), "mylib::aten");
}

TEST(Format, WrapsAtBlanksBeforeLinesAreTooLong) {
  const std::string forty(40, 'x'), thirty_nine(39, 'y'), long_word(90, 'z');
  EXPECT_EQ(wrapped(forty + " " + thirty_nine), forty + " " + thirty_nine) << "80 fit";
  EXPECT_EQ(wrapped(forty + " " + forty), forty + "\n" + forty);
  EXPECT_EQ(wrapped("a " + long_word + " b c"), "a\n" + long_word + "\nb c");
  EXPECT_EQ(wrapped(""), "");
}

TEST(Format, MedianIsTheMiddle) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_EQ(median({7}), 7);
  EXPECT_EQ(median_ns({10, 30, 20}), 20);
}

}  // namespace
}  // namespace remat::cli

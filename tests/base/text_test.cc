#include "base/text.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remat {
namespace {

using testing::HasSubstr;

TEST(Printable, LeavesVisibleTextAsItIs) {
  EXPECT_EQ(printable("every:2 µs × 日本 \"\\"), "every:2 µs × 日本 \"\\");
}

TEST(Printable, ShowsControlCharactersAsBytes) {
  EXPECT_EQ(printable(std::string_view("a\0b\n\x1b[31m\x7f", 10)), "a\\x00b\\x0a\\x1b[31m\\x7f");
}

TEST(Printable, ShowsInvisibleAndDirectionChangingCharactersAsBytes) {
  EXPECT_EQ(printable("\u200b"), "\\xe2\\x80\\x8b");  // ZERO WIDTH SPACE
  EXPECT_EQ(printable("\u2067\u2069"),
            "\\xe2\\x81\\xa7\\xe2\\x81\\xa9");        // RIGHT-TO-LEFT ISOLATE and its end
  EXPECT_EQ(printable("\ufeff"), "\\xef\\xbb\\xbf");  // byte order mark
  EXPECT_EQ(printable("\u0085"), "\\xc2\\x85");       // NEXT LINE, a C1 control
}

TEST(Printable, ShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("a\xff!"), "a\\xff!");
  EXPECT_EQ(printable("\x80"), "\\x80");                    // continuation without a lead
  EXPECT_EQ(printable("\xe6\x97"), "\\xe6\\x97");           // cut short
  EXPECT_EQ(printable("\xe6\x97!"), "\\xe6\\x97!");         // cut short by another character
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");           // overlong '/'
  EXPECT_EQ(printable("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");  // overlong '/', three bytes
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(printable("\xf8\x88\x80\x80\x80"), "\\xf8\\x88\\x80\\x80\\x80");  // five bytes
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");           // past U+10FFFF
}

TEST(Printable, ReadsNoFurtherThanTheText) {
  const std::string_view character = "日";
  EXPECT_EQ(printable(character.substr(0, 2)), "\\xe6\\x97");
}

TEST(Quote, PutsTextInQuotesAndEscapesItsOwn) {
  EXPECT_EQ(quote(""), "\"\"");
  EXPECT_EQ(quote("a \"b\" \\"), "\"a \\\"b\\\" \\\\\"");
}

TEST(Quote, CutsLongTextAndSaysHowMuchIsMissing) {
  EXPECT_EQ(quote(std::string(60, 'x')), "\"" + std::string(60, 'x') + "\"");
  EXPECT_EQ(quote(std::string(1000000, 'x')),
            "\"" + std::string(60, 'x') + "...\" and 999940 more bytes");
}

TEST(Quote, CutsBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "日";
  EXPECT_THAT(quote(text), HasSubstr("日...\" and 240 more bytes"));
}

TEST(DisplayWidth, CountsCharactersNotBytes) {
  EXPECT_EQ(display_width(""), 0U);
  EXPECT_EQ(display_width("peak"), 4U);
  EXPECT_EQ(display_width("µs"), 2U);
  EXPECT_EQ(display_width("3×"), 2U);
}

TEST(DisplayWidth, CountsTwoColumnsForWideCharacters) {
  EXPECT_EQ(display_width("日本語"), 6U);
  EXPECT_EQ(display_width("🚀"), 2U);
  EXPECT_EQ(display_width("한"), 2U);
}

TEST(DisplayWidth, CountsNothingForCombiningMarks) {
  EXPECT_EQ(display_width("e\u0301"), 1U);  // e + COMBINING ACUTE ACCENT
}

TEST(DisplayWidth, CountsAColumnForEachByteThatIsNotUtf8) {
  EXPECT_EQ(display_width("\xff\xfe"), 2U);
}

TEST(Shortened, LeavesTheMiddleOut) {
  EXPECT_EQ(shortened("encoder.mlp: gelu", 17), "encoder.mlp: gelu");
  EXPECT_EQ(shortened("encoder.mlp: gelu", 16), "encoder...: gelu");
  EXPECT_EQ(shortened("encoder.mlp: gelu", 5), "e...u");
}

TEST(Shortened, CutsBetweenCharactersByWhatTheyTake) {
  EXPECT_EQ(shortened("日本日本日本", 12), "日本日本日本");
  EXPECT_EQ(shortened("日本日本日本", 11), "日本...日本");
  EXPECT_EQ(shortened("日本日本日本", 8), "日...本") << "no half of one";
}

}  // namespace
}  // namespace remat

#include "base/json.h"

#include <string>

#include <gtest/gtest.h>

#include "base/json_cursor.h"
#include "tests/testing/error_text.h"

namespace remat {
namespace {

using testing::complaint_of;

std::string complaint(const std::string& text) {
  return complaint_of([&] { JsonDocument(text, "a.json"); });
}

TEST(Json, ReadsWhatIsThere) {
  const JsonDocument document(R"({"a": [1, {"b": "text"}], "c": null})", "a.json");
  const JsonCursor root(document);
  const auto a = root.at("a").elements();
  ASSERT_EQ(a.size(), 2U);
  EXPECT_EQ(a[0].whole_number(), 1);
  EXPECT_EQ(a[1].at("b").text(), "text");
  EXPECT_TRUE(root.find("c").has_value());
  EXPECT_FALSE(root.find("d").has_value());
}

TEST(Json, RefusesAKeyThatComesTwiceWhereverItIs) {
  EXPECT_EQ(complaint(R"({"a": 1, "b": 2, "a": 1})"),
            "a.json: a: expected each key once, found it again");
  EXPECT_EQ(complaint(R"({"x": [0, {"odd key": [], "odd key": 1}]})"),
            "a.json: x[1][\"odd key\"]: expected each key once, found it again");
  EXPECT_EQ(complaint("[{\"\\u0061\": 1, \"a\": 1}]"),
            "a.json: [0].a: expected each key once, found it again");
}

TEST(Json, SaysWhereATextIsNoJson) {
  EXPECT_EQ(complaint("{\"a\": \n nan}"),
            "a.json: expected JSON, found a parse error at line 2, column 3: syntax error while "
            "parsing value - invalid literal; last read: '\"a\": <U+000A> na'");
  for (const char* text : {"", " ", "{", "[1,]", "{\"a\" 1}", "01", "1 2", "\xff", "\"\xc3\"",
                           "1e999", "// no\n1", "{'a': 1}", "\"\n\""}) {
    EXPECT_EQ(complaint(text).rfind("a.json: expected JSON, found a", 0), 0U) << text;
  }
}

TEST(Json, CutsLongTextsOutOfMessages) {
  EXPECT_LT(complaint("\"" + std::string(100'000, 'x')).size(), 400U);
}

TEST(Json, TakesAHundredLevelsAndNoMore) {
  const auto nested = [](std::size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  EXPECT_NO_THROW(JsonDocument(nested(100), "a.json"));
  EXPECT_NE(complaint(nested(101)).find("[0]: expected at most 100 levels, found more"),
            std::string::npos);
  // Far more than a stack holds.
  EXPECT_NE(complaint(std::string(2'000'000, '[')).find("expected at most 100 levels"),
            std::string::npos);
}

TEST(Json, TakesOnlyWholeNumbersInDigits) {
  const auto read = [](const std::string& number) {
    const JsonDocument document("[" + number + "]", "a.json");
    return JsonCursor(document).elements().front().whole_number();
  };
  EXPECT_EQ(read("0"), 0);
  EXPECT_EQ(read("9223372036854775807"), INT64_MAX);
  for (const char* number :
       {"-1", "-0", "1.0", "1e3", "1E3", "0.5", "9223372036854775808", "-9223372036854775809",
        "18446744073709551616", "123456789012345678901234567890", "1e-400"}) {
    EXPECT_EQ(
        complaint_of([&] { read(number); }),
        std::string("a.json: [0]: expected a whole number from 0 to 2^63 - 1, in digits only, "
                    "found ") +
            number);
  }
}

TEST(Json, SaysWhatItFoundInsteadOfTheTypeItWants) {
  const JsonDocument document(R"({"a": {"b": [1, 2, true]}})", "a.json");
  const auto a = JsonCursor(document).at("a");
  EXPECT_EQ(complaint_of([&] { a.text(); }), "a.json: a: expected a string, found an object");
  EXPECT_EQ(complaint_of([&] { a.elements(); }), "a.json: a: expected a list, found an object");
  EXPECT_EQ(complaint_of([&] { a.at("b").find("x"); }),
            "a.json: a.b: expected an object, found a list of 3");
  EXPECT_EQ(complaint_of([&] { a.at("b").elements()[2].text(); }),
            "a.json: a.b[2]: expected a string, found true");
  EXPECT_EQ(complaint_of([&] { a.at("c"); }), "a.json: a.c: expected this key, found none");
}

TEST(Json, WritesStringsThatItReadsBack) {
  const std::string text = "a\"b\\c\n\t\x01 ü 漢";
  const JsonDocument document(json_string(text), "a.json");
  EXPECT_EQ(JsonCursor(document).text(), text);
}

TEST(Json, WritesAReplacementForWhatIsNoUtf8) {
  EXPECT_EQ(json_string("a\xff"), "\"a\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace remat

#include "report/curve.h"

#include <algorithm>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remat::report {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

CurveLabels labels() { return {"overhead", "30 %", "1 GiB", "3 GiB", "budget"}; }

TEST(Curve, GoesFromTheLeftTopToTheRightBottom) {
  const auto lines = lines_of(curve({{1, 30}, {2, 15}, {3, 0}}, labels()));
  ASSERT_EQ(lines.size(), 16U);
  EXPECT_EQ(lines[0], "overhead");
  EXPECT_THAT(lines[1], StartsWith("30 % |*...."));
  EXPECT_THAT(lines[1], EndsWith("."));
  EXPECT_EQ(std::count_if(lines.begin() + 2, lines.begin() + 12,
                          [](const auto& line) { return line.find('*') != std::string::npos; }),
            1);
  EXPECT_THAT(lines[12], StartsWith("   0 |    "));
  EXPECT_THAT(lines[12], EndsWith(" *"));
  EXPECT_THAT(lines[13], StartsWith("     +----"));
  EXPECT_THAT(lines[14], StartsWith("      1 GiB  "));
  EXPECT_THAT(lines[14], EndsWith(" 3 GiB"));
  EXPECT_THAT(lines[15], EndsWith("  budget"));
}

TEST(Curve, FitsATerminalOfEightyColumns) {
  for (const auto* top : {"1 %", "123456.78 %"}) {
    std::vector<CurvePoint> points;
    for (int i = 0; i < 300; ++i) points.push_back({double(i), double((i * 7) % 13)});
    auto all = labels();
    all.top = top;
    for (const auto& line : lines_of(curve(points, all))) EXPECT_LE(line.size(), 80U) << line;
  }
}

TEST(Curve, MarksAPointOverOthers) {
  const auto text = curve({{1, 3}, {1.0001, 3, true}, {1.0002, 3}, {9, 0}}, labels());
  EXPECT_THAT(text, HasSubstr("|o..."));
}

TEST(Curve, OfOnePointOrOfZeroesIsDrawnToo) {
  EXPECT_THAT(curve({{5, 7}}, labels()), HasSubstr("30 % |*\n"));
  EXPECT_THAT(curve({{5, 0}, {6, 0}}, labels()), HasSubstr("   0 |*..."));
}

}  // namespace
}  // namespace remat::report

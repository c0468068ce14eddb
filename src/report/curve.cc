#include "report/curve.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/check.h"
#include "base/text.h"

namespace remat::report {
namespace {

constexpr std::size_t kWidth =
    78;  // with the labels of the vertical axis; narrower than a terminal
constexpr std::size_t kHeight = 12;
constexpr std::size_t kMinColumns = 20;

// Cells from the left bottom.
class Canvas {
 public:
  Canvas(const std::vector<CurvePoint>& points, std::size_t columns)
      : columns_(columns),
        rows_(kHeight, std::string(columns, ' ')),
        left_(points.front().x),
        width_(points.back().x - left_) {
    const auto by_y = [](const auto& a, const auto& b) { return a.y < b.y; };
    top_ = std::max_element(points.begin(), points.end(), by_y)->y;
    draw_stairs(points);
    for (const auto& point : points) put(point, '*');
    for (const auto& point : points) {
      if (point.marked) put(point, 'o');
    }
  }

  /// From the top.
  const std::string& row(std::size_t line) const { return rows_[kHeight - 1 - line]; }

 private:
  static std::size_t cell(double share, std::size_t cells) {
    return static_cast<std::size_t>(std::lround(share * static_cast<double>(cells - 1)));
  }
  std::size_t column(double x) const {
    return cell(width_ > 0 ? (x - left_) / width_ : 0, columns_);
  }
  std::size_t height(double y) const { return cell(top_ > 0 ? y / top_ : 0, kHeight); }

  void draw_stairs(const std::vector<CurvePoint>& points) {
    for (std::size_t i = 0; i + 1 < points.size(); ++i) {
      auto& row = rows_[height(points[i].y)];
      for (auto at = column(points[i].x); at < column(points[i + 1].x); ++at) row[at] = '.';
    }
  }

  void put(const CurvePoint& point, char mark) { rows_[height(point.y)][column(point.x)] = mark; }

  std::size_t columns_;
  std::vector<std::string> rows_;
  double top_ = 0;
  double left_ = 0;
  double width_ = 0;
};

std::string without_trailing_blanks(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

std::string padded_left(const std::string& text, std::size_t width) {
  const auto taken = display_width(text);
  return std::string(width > taken ? width - taken : 0, ' ') + text;
}

// `left` and `right` at the ends of `width` columns.
std::string at_both_ends(const std::string& left, const std::string& right, std::size_t width) {
  return left + padded_left(right, std::max(width - display_width(left), display_width(right) + 1));
}

}  // namespace

std::string curve(const std::vector<CurvePoint>& points, const CurveLabels& labels) {
  REMAT_ASSERT(!points.empty());
  const auto margin = std::max<std::size_t>(display_width(labels.top), 1);
  const auto columns = std::max(kWidth - std::min(kWidth, margin + 2), kMinColumns);
  const Canvas canvas(points, columns);
  std::string text = labels.title + "\n";
  for (std::size_t line = 0; line < kHeight; ++line) {
    const std::string label = line == 0 ? labels.top : line + 1 == kHeight ? "0" : "";
    text += without_trailing_blanks(padded_left(label, margin) + " |" + canvas.row(line)) + "\n";
  }
  text += std::string(margin + 1, ' ') + "+" + std::string(columns, '-') + "\n";
  text += std::string(margin + 2, ' ') + at_both_ends(labels.left, labels.right, columns) + "\n";
  const auto indent = (columns - std::min(columns, display_width(labels.below))) / 2;
  return text + std::string(margin + 2 + indent, ' ') + labels.below + "\n";
}

}  // namespace remat::report

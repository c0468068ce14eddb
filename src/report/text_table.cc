#include "report/text_table.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/text.h"

namespace remat::report {
namespace {

constexpr std::size_t kGap = 2;

// No first column is cut to less.
constexpr std::size_t kNarrowest = 12;

void strip_trailing_blanks(std::string& line) { line.erase(line.find_last_not_of(' ') + 1); }

}  // namespace

TextTable::TextTable(const std::vector<Column>& columns, std::size_t width) : width_(width) {
  std::vector<std::string> headers;
  for (const auto& [header, align] : columns) {
    aligns_.push_back(align);
    headers.push_back(header);
  }
  rows_.push_back(measure(headers));
}

void TextTable::add_row(const std::vector<std::string>& cells) {
  REMAT_CHECK(cells.size() == aligns_.size(), InvalidArgument,
              "TextTable::add_row: expected a cell for each of the {} columns, got {}",
              aligns_.size(), cells.size());
  rows_.push_back(measure(cells));
}

std::string TextTable::to_string() const {
  const std::vector<std::size_t> widths = column_widths();
  std::string text;
  for (const Row& row : rows_) {
    text += line(row, widths) + "\n";
  }
  return text;
}

TextTable::Cell TextTable::measure(std::string printable) {
  const std::size_t width = display_width(printable);
  return {std::move(printable), width};
}

TextTable::Row TextTable::measure(const std::vector<std::string>& cells) {
  Row row;
  for (const std::string& cell : cells) row.push_back(measure(printable(cell)));
  return row;
}

std::vector<std::size_t> TextTable::column_widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < aligns_.size(); ++column) {
    widths.push_back(column_width(column));
  }
  if (widths.empty()) return widths;
  const auto others = std::accumulate(widths.begin() + 1, widths.end(), kGap * (widths.size() - 1));
  const auto left = width_ > others ? width_ - others : 0;
  widths[0] = std::min(widths[0], std::max(left, kNarrowest));
  return widths;
}

std::size_t TextTable::column_width(std::size_t column) const {
  std::size_t width = 0;
  for (const Row& row : rows_) {
    width = std::max(width, row[column].width);
  }
  return width;
}

std::string TextTable::line(const Row& row, const std::vector<std::size_t>& widths) const {
  std::string line;
  for (std::size_t column = 0; column < row.size(); ++column) {
    const Cell cell = row[column].width <= widths[column]
                          ? row[column]
                          : measure(shortened(row[column].text, widths[column]));
    const std::string padding(widths[column] - cell.width, ' ');
    line += column == 0 ? "" : std::string(kGap, ' ');
    line += aligns_[column] == Align::kRight ? padding + cell.text : cell.text + padding;
  }
  strip_trailing_blanks(line);
  return line;
}

}  // namespace remat::report

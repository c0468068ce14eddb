// A table for people to read on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace remat::report {

/// A table with a header row, in columns as wide as their widest cell and two spaces apart.
///
/// Cells are UTF-8; what is not printable in them is shown as \xNN, so that a cell is one line and
/// its width is known.
///
/// Example:
///   TextTable table({{"policy"}, {"peak", TextTable::Align::kRight}});
///   table.add_row({"sqrt", "218 MiB"});
class TextTable {
 public:
  enum class Align { kLeft, kRight };
  static constexpr std::size_t kAnyWidth = static_cast<std::size_t>(-1);

  struct Column {
    std::string header;
    Align align = Align::kLeft;
  };

  /// Where lines would be longer than `width`, the middle of long cells in the first column is left out.
  explicit TextTable(const std::vector<Column>& columns, std::size_t width = kAnyWidth);

  /// Errors: InvalidArgument unless there is one cell for each column.
  void add_row(const std::vector<std::string>& cells);

  /// The header and the rows in order; each line ends in a newline, none in blanks.
  std::string to_string() const;

 private:
  struct Cell {
    std::string text;
    std::size_t width;
  };
  using Row = std::vector<Cell>;

  static Cell measure(std::string printable);
  static Row measure(const std::vector<std::string>& cells);
  std::size_t column_width(std::size_t column) const;
  std::vector<std::size_t> column_widths() const;
  std::string line(const Row& row, const std::vector<std::size_t>& widths) const;

  std::size_t width_;
  std::vector<Align> aligns_;
  std::vector<Row> rows_;  // the header first
};

}  // namespace remat::report

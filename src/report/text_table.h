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

  struct Column {
    std::string header;
    Align align = Align::kLeft;
  };

  explicit TextTable(const std::vector<Column>& columns);

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

  static Row measure(const std::vector<std::string>& cells);
  std::size_t column_width(std::size_t column) const;
  std::string line(const Row& row, const std::vector<std::size_t>& widths) const;

  std::vector<Align> aligns_;
  std::vector<Row> rows_;  // the header first
};

}  // namespace remat::report

// How the program writes what it measured, for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.h"

namespace remat::cli {

/// "0:42", "12:05", "3:07:09": rounded to whole seconds.
std::string format_clock_ns(std::int64_t ns);

/// Columns that reports keep to.
inline constexpr std::size_t kTerminalWidth = 80;

/// An op's name for a table: most of what ops are called begins with "aten::", which is left out.
std::string short_op_name(std::string name);

/// `text` with line ends in place of blanks, so that no line takes more than kTerminalWidth columns that has a
/// blank in it.
std::string wrapped(std::string_view text);

/// The middle one, the mean of the middle two of an even number. Not of an empty list.
double median(std::vector<double> values);
std::int64_t median_ns(const std::vector<std::int64_t>& values);

}  // namespace remat::cli

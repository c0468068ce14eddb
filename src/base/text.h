// Text on a terminal: how wide it is, and how to show text that came from outside.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace remat {

/// `text` with everything that would not be one visible mark on a terminal written as \xNN: control
/// characters, invisible and direction-changing ones, bytes that are not UTF-8.
std::string printable(std::string_view text);

/// `text` for a message: printable, in double quotes (its own escaped), and cut after about 60
/// bytes.
std::string quote(std::string_view text);

/// Columns that printable UTF-8 takes on a terminal: 2 for East Asian wide characters and emoji, 0
/// for combining marks, 1 for the rest.
std::size_t display_width(std::string_view text);

/// Printable `text` in at most `columns`: where it takes more, "..." stands for its middle. At least 5.
std::string shortened(std::string_view text, std::size_t columns);

}  // namespace remat

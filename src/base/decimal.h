// Reading whole numbers that people typed.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace remat {

/// The value of `text` if it is decimal digits and nothing else, and at most 2^63 - 1. No signs,
/// spaces, separators or exponents; leading zeros are allowed and mean nothing.
std::optional<std::int64_t> parse_decimal(std::string_view text);

}  // namespace remat

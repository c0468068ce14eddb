#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include <remat/bytes.h>

#include "base/check.h"
#include "base/decimal.h"
#include "base/text.h"

namespace remat {
namespace {

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

struct Unit {
  std::string_view name;
  std::int64_t bytes;
};

constexpr std::int64_t kOne = 1;
constexpr std::array kBinaryUnits = {Unit{"KiB", kOne << 10}, Unit{"MiB", kOne << 20},
                                     Unit{"GiB", kOne << 30}, Unit{"TiB", kOne << 40}};
constexpr std::array kDecimalUnits = {Unit{"kB", 1'000}, Unit{"MB", 1'000'000},
                                      Unit{"GB", 1'000'000'000}, Unit{"TB", 1'000'000'000'000}};

// A size taken apart: `whole` `.fraction` `unit`. The point is present exactly if `fraction` is.
struct SizeText {
  std::string_view whole;
  std::optional<std::string_view> fraction;
  std::string_view unit;
};

std::string_view leading_digits(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

SizeText take_apart(std::string_view text) {
  SizeText size;
  size.whole = leading_digits(text);
  text.remove_prefix(size.whole.size());
  if (!text.empty() && text.front() == '.') {
    size.fraction = leading_digits(text.substr(1));
    text.remove_prefix(1 + size.fraction->size());
  }
  size.unit = text;
  return size;
}

std::optional<std::int64_t> bytes_per_unit(std::string_view name) {
  if (name.empty() || name == "B") {
    return 1;
  }
  const auto has_name = [name](const Unit& unit) { return unit.name == name; };
  for (const auto& units : {kBinaryUnits, kDecimalUnits}) {
    const auto found = std::find_if(units.begin(), units.end(), has_name);
    if (found != units.end()) {
      return found->bytes;
    }
  }
  return std::nullopt;
}

// floor(0.digits * unit), exactly, however many digits there are: long multiplication from the last
// digit on. The carry out of each position is the floor of all that lies below it.
std::int64_t whole_part_of_fraction(std::string_view digits, std::int64_t unit) {
  // The carry stays below the unit, so that no product exceeds 10^13.
  const auto carry_out = [unit](std::int64_t carry, char digit) {
    return ((digit - '0') * unit + carry) / 10;
  };
  return std::accumulate(digits.rbegin(), digits.rend(), std::int64_t{0}, carry_out);
}

bool is_well_formed(const SizeText& size, std::optional<std::int64_t> unit) {
  const bool whole_bytes = !size.fraction.has_value();
  return !size.whole.empty() && unit.has_value() &&
         (whole_bytes || (!size.fraction->empty() && *unit > 1));
}

std::optional<std::int64_t> total_bytes(const SizeText& size, std::int64_t unit) {
  const auto whole = parse_decimal(size.whole);
  const std::int64_t below = whole_part_of_fraction(size.fraction.value_or(""), unit);
  if (!whole.has_value() || *whole > (kLargest - below) / unit) {
    return std::nullopt;
  }
  return *whole * unit + below;
}

// count / unit to the nearest 1 / scale, half up, as a multiple of 1 / scale. Exact: with count at
// most 2^63, unit between 2^10 and 2^40 and scale at most 100, no product reaches 2^60.
std::uint64_t nearest_multiple(std::uint64_t count, std::uint64_t unit, std::uint64_t scale) {
  return count / unit * scale + (count % unit * scale + unit / 2) / unit;
}

// The shortest text with three significant digits, or four before the next unit is reached.
std::string magnitude_to_string(std::uint64_t count) {
  if (count < 1024) {
    return fmt::format("{} B", count);
  }
  for (const auto& [name, bytes] : kBinaryUnits) {
    const auto unit = static_cast<std::uint64_t>(bytes);
    if (const auto hundredths = nearest_multiple(count, unit, 100); hundredths < 1000) {
      return fmt::format("{}.{:02} {}", hundredths / 100, hundredths % 100, name);
    }
    if (const auto tenths = nearest_multiple(count, unit, 10); tenths < 1000) {
      return fmt::format("{}.{} {}", tenths / 10, tenths % 10, name);
    }
    if (const auto ones = nearest_multiple(count, unit, 1); ones < 1024) {
      return fmt::format("{} {}", ones, name);
    }
  }
  const auto& [name, bytes] = kBinaryUnits.back();
  return fmt::format("{} {}", nearest_multiple(count, static_cast<std::uint64_t>(bytes), 1), name);
}

}  // namespace

Bytes Bytes::parse(std::string_view text) {
  const SizeText size = take_apart(text);
  const auto unit = bytes_per_unit(size.unit);
  REMAT_CHECK(is_well_formed(size, unit), InvalidArgument,
              "{} is not a size: write 123, 123B, 1.5KiB|MiB|GiB|TiB (powers of 1024) or "
              "2kB|MB|GB|TB (powers of 1000), without spaces or signs",
              quote(text));
  const auto count = total_bytes(size, *unit);
  REMAT_CHECK(count.has_value(), InvalidArgument,
              "{} is too large a size: the largest is {} bytes, just under 8388608TiB; write 123, "
              "123B, 1.5KiB|MiB|GiB|TiB or 2kB|MB|GB|TB",
              quote(text), kLargest);
  return Bytes(*count);
}

std::string Bytes::to_string() const {
  const auto count = static_cast<std::uint64_t>(count_);
  return count_ < 0 ? "-" + magnitude_to_string(0 - count) : magnitude_to_string(count);
}

}  // namespace remat

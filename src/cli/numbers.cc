#include "cli/numbers.h"

#include <charconv>
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/decimal.h"
#include "base/text.h"

namespace remat::cli {
namespace {

// `read` replaces the text by one that CLI11 converts exactly, or returns what is expected instead.
CLI::Validator validator(std::function<std::optional<std::string>(std::string&)> read) {
  const auto check = [read = std::move(read)](std::string& text) {
    const auto expected = read(text);
    return expected ? fmt::format("must be {}, not {}", *expected, quote(text)) : std::string();
  };
  return {check, ""};
}

std::optional<double> parse_finite(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

CLI::Validator whole_number(std::int64_t min, std::int64_t max) {
  return validator([min, max](std::string& text) -> std::optional<std::string> {
    const auto value = parse_decimal(text);
    if (!value || *value < min || *value > max) {
      return fmt::format("a whole number from {} to {}", min, max);
    }
    text = std::to_string(*value);
    return std::nullopt;
  });
}

CLI::Validator finite_number() {
  return validator([](std::string& text) -> std::optional<std::string> {
    if (!parse_finite(text)) return "a number such as 0.1";
    return std::nullopt;
  });
}

CLI::Validator number_from_zero() {
  return validator([](std::string& text) -> std::optional<std::string> {
    if (parse_finite(text).value_or(-1) < 0) return "a number, 0 or above, such as 0.1";
    return std::nullopt;
  });
}

CLI::Validator positive_number() {
  return validator([](std::string& text) -> std::optional<std::string> {
    if (parse_finite(text).value_or(0) <= 0) return "a number above 0, such as 0.001";
    return std::nullopt;
  });
}

}  // namespace remat::cli

#include "base/decimal.h"

#include <charconv>
#include <system_error>

namespace remat {

std::optional<std::int64_t> parse_decimal(std::string_view text) {
  // from_chars would take "-1", and "-0" is not a way to write 0 here.
  if (text.empty() || text.front() == '-') {
    return std::nullopt;
  }
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped_at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped_at != end) {
    return std::nullopt;
  }
  return value;
}

}  // namespace remat

#include "base/duration.h"

#include <cmath>

#include <fmt/format.h>

namespace remat {

std::string format_duration_ns(std::int64_t ns) {
  auto value = static_cast<double>(ns);
  for (const char* unit : {"ns", "us", "ms"}) {
    if (std::abs(value) < 999.5) {
      const int decimals = ns == 0 || std::abs(value) >= 99.95 ? 0
                           : std::abs(value) >= 9.995          ? 1
                                                               : 2;
      return fmt::format("{:.{}f} {}", value, unit == std::string("ns") ? 0 : decimals, unit);
    }
    value /= 1000.0;
  }
  return fmt::format("{:.{}f} s", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

}  // namespace remat

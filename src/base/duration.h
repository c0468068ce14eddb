// Times as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace remat {

/// "1.53 s", "204 ms", "87.1 us", "12 ns": three significant digits.
std::string format_duration_ns(std::int64_t ns);

}  // namespace remat

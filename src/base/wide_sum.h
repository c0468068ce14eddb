// Sums of sizes and times that cannot overflow while they are formed.
#pragma once

#include <cstdint>
#include <limits>

namespace remat {

/// Wide enough for the sum of any number of 63-bit terms that fit in memory.
__extension__ using WideSum = __int128;

/// Whether a sum is a size or a time: at most 2^63 - 1.
constexpr bool fits(WideSum sum) { return sum <= std::numeric_limits<std::int64_t>::max(); }

}  // namespace remat

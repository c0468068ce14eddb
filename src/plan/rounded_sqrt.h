// The square root that `sqrt` placement needs.
#pragma once

#include <cstdint>

namespace remat::plan {

/// The integer nearest to the square root of `n` >= 0, exactly, for every n.
///
/// It is also the s that minimises s + n / s over the integers: both change from s to s + 1 just
/// above n = s (s + 1).
std::int64_t rounded_sqrt(std::int64_t n);

}  // namespace remat::plan

#include "plan/rounded_sqrt.h"

#include <cmath>
#include <cstdint>

namespace remat::plan {

std::int64_t rounded_sqrt(std::int64_t n) {
  // The square root of n is above root + 1/2 if n > root^2 + root + 1/4. Unsigned, because
  // root (root + 1) exceeds 2^63 - 1 near the largest n.
  const auto is_too_small = [square = static_cast<std::uint64_t>(n)](std::uint64_t root) {
    return square > root * (root + 1);
  };
  // A double's root is off by far less than 1/2, so truncated it is never above the rounded root.
  auto root = static_cast<std::uint64_t>(std::sqrt(static_cast<double>(n)));
  while (is_too_small(root)) {
    ++root;
  }
  return static_cast<std::int64_t>(root);
}

}  // namespace remat::plan

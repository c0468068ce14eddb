// The largest size that fits into memory, found by trying.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include <remat/bytes.h>

namespace remat::cli {

/// What a size takes; nothing where it could not be had at all.
using PeakOf = std::function<std::optional<Bytes>(std::int64_t size)>;

struct LargestFit {
  std::int64_t size = 0;      ///< 0: not even 1 fits
  std::optional<Bytes> peak;  ///< at `size`, or at 1 if that does not fit
  std::optional<Bytes>
      next_peak;          ///< at `size` + 1; none at the limit, or where it could not be had
  bool at_limit = false;  ///< `size` is the largest that was allowed
  std::int64_t tries = 0;
};

/// The largest size from 1 to `limit` whose peak is at most `memory`.
///
/// `peak_of` must not fall as the size grows. Grows by at most twice at a time, less where the last two
/// peaks say that the next one would be too much, so that what is tried takes little more than `memory`:
/// at most 1.6 times as much where peaks grow with the square of the size. Then closes in from both sides.
/// Cost: about log2(result) tries where peaks grow linearly, at most twice as many elsewhere.
LargestFit largest_fit(std::int64_t limit, Bytes memory, const PeakOf& peak_of);

}  // namespace remat::cli

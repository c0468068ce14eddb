// The segments of a chain, where equal ones count once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plan/chain_model.h"

namespace remat::plan {

/// Two segments are equal if they have equal stages in the same order, the same gradient at their start,
/// and both or neither ends with the loss. Whatever is asked of one then holds for the other.
class ChainSegments {
 public:
  /// Cost: n^2 / 2 look-ups and places of 4 bytes.
  explicit ChainSegments(const ChainModel& model);

  /// Which different segment this is, from 0.
  std::size_t row(ChainSegment segment) const {
    return static_cast<std::size_t>(rows_[entry(segment)]);
  }

  /// One of each, shorter ones first. Those that only start the chain are at first = 0, the others never.
  const std::vector<ChainSegment>& different() const { return different_; }

 private:
  static std::size_t entry(ChainSegment segment) {
    return segment.last * (segment.last + 1) / 2 + segment.first;
  }

  std::vector<std::int32_t> rows_;
  std::vector<ChainSegment> different_;
};

}  // namespace remat::plan

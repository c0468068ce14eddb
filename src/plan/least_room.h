// The least memory in which the segments of a chain can be reversed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plan/chain_model.h"
#include "plan/chain_segments.h"

namespace remat::plan {

/// By persistent plans; exact.
class LeastRoom {
 public:
  LeastRoom(const ChainModel& model, const ChainSegments& segments);

  std::int64_t operator()(ChainSegment segment) const { return rooms_[segments_.row(segment)]; }

 private:
  std::int64_t solve(const ChainModel& model, ChainSegment segment) const;

  const ChainSegments& segments_;
  std::vector<std::int64_t> rooms_;  // by row
};

}  // namespace remat::plan

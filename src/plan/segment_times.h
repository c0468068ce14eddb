// What the solvers for chains have in common: a table of segments, and the moves that begin one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "plan/chain_model.h"

namespace remat::plan {

/// The least time in which a segment can be reversed with some room.
class SegmentTimes {
 public:
  SegmentTimes() = default;
  virtual ~SegmentTimes() = default;
  SegmentTimes(SegmentTimes&&) = default;
  SegmentTimes& operator=(SegmentTimes&&) = delete;

  /// Not of segments that start the chain. kNever where the room does not do, or the table does not know.
  virtual std::int64_t time(ChainSegment segment, std::int64_t room) const = 0;
};

/// A persistent reversal of stages first to last begins with one of two moves: it saves `first`, or runs to
/// a stage `to` after it whose input it keeps until the segment from `to` is reversed.
struct ChainRun {
  std::size_t to = 0;
  std::int64_t bytes = 0;  ///< that it needs
  std::int64_t time = 0;
};

template <class Visit>
void for_each_run(const ChainModel& model, ChainSegment segment, Visit visit) {
  std::int64_t bytes = 0;
  for (auto to = segment.first + 1; to <= segment.last; ++to) {
    const auto k = to - 1;
    bytes = std::max(bytes, k == segment.first ? model.checkpoint_bytes(k) : model.pass_bytes(k));
    visit(ChainRun{to, bytes + model.held_gradient(segment.last),
                   model.forward_time(segment.before(to))});
  }
}

}  // namespace remat::plan

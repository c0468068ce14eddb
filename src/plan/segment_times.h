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

  /// `first` >= 1. kNever where the room does not do, or the table does not know.
  virtual std::int64_t time(std::size_t first, std::size_t last, std::int64_t room) const = 0;
};

/// A persistent reversal of stages first to last begins with one of two moves: it saves `first`, or runs to
/// a stage `to` after it whose input it keeps until the segment from `to` is reversed. This calls
/// `visit(to, bytes, time)` for each `to`: what the run needs and takes.
template <class Visit>
void for_each_run(const ChainModel& model, std::size_t first, std::size_t last, Visit visit) {
  std::int64_t bytes = 0;
  for (auto to = first + 1; to <= last; ++to) {
    const auto k = to - 1;
    bytes = std::max(bytes, k == first ? model.checkpoint_bytes(k) : model.pass_bytes(k));
    visit(to, bytes + model.held_gradient(last), model.forward_time(first, to));
  }
}

}  // namespace remat::plan

// A table of times by slots of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plan/chain_model.h"
#include "plan/chain_segments.h"
#include "plan/least_room.h"
#include "plan/segment_times.h"

namespace remat::plan {

/// Sizes are rounded up to slots: what it says can be done, can, within `room` in all.
class SlotTimes : public SegmentTimes {
 public:
  struct Problem {
    const ChainModel& model;
    const ChainSegments& segments;
    const LeastRoom& least;
    std::int64_t room = 0;
  };

  /// What takes longer than `known_time`, a time that the whole chain is known to take at most, or can only
  /// be part of what does, is left out.
  struct Limits {
    std::int64_t slots = 0;
    std::int64_t known_time = kNever;
  };
  SlotTimes(const Problem& problem, const Limits& limits);

  std::int64_t time(ChainSegment segment, std::int64_t room) const override;

  std::int64_t slot_bytes() const { return slot_bytes_; }

  struct Size {
    std::int64_t rows = 0;   ///< 8 bytes in each slot
    std::int64_t moves = 0;  ///< looked at for each slot
  };
  static Size size_of(const Problem& problem);

 private:
  // Slot s stands at entry s - low. From `high` on nothing changes; below `low` there is nothing.
  struct Row {
    std::int64_t low = 0;
    std::int64_t high = -1;
    std::int64_t begin = 0;
    double plain_time = 0;
    double most = 0;  // what takes longer is left out
  };
  struct Move;
  struct Part;
  struct Tile;

  std::int64_t in_slots(std::int64_t bytes) const {
    return bytes / slot_bytes_ + (bytes % slot_bytes_ == 0 ? 0 : 1);
  }
  void lay_out(const Problem& problem, std::int64_t known_time);
  std::vector<Move> moves_of(const Problem& problem, ChainSegment segment) const;
  void solve(std::size_t row, const std::vector<Move>& moves);
  void leave_out_slow(Row& row);
  void improve(std::size_t row, const Move& move);
  void improve(const Row& row, const Move& move, Tile tile);
  double at(const Row& row, std::int64_t slot) const;

  template <class Number>
  double* tile_ends(Number row) {
    return tile_ends_.data() + static_cast<std::int64_t>(row) * tiles_;
  }

  std::int64_t slot_bytes_;
  std::int64_t slots_;
  std::int64_t tiles_;
  const ChainSegments& segments_;
  std::vector<Row> rows_;
  std::vector<double> times_;  // whole ns: exact below 2^53
  std::vector<double>
      tile_ends_;  // the least time of each tile, by row and tile: what is looked at most
};

}  // namespace remat::plan

// What the search over an op graph decides on: for each value, the gaps between its uses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <remat/graph.h>

#include "graph/indexed_graph.h"

namespace remat::plan {

/// Places of ops (slots: op i runs first in slot i), values and gaps.
using Place = std::int32_t;

/// Lists of places, one behind the other.
class PlaceLists {
 public:
  PlaceLists() : starts_{0} {}
  void add(const std::vector<Place>& list) {
    places_.insert(places_.end(), list.begin(), list.end());
    starts_.push_back(static_cast<Place>(places_.size()));
  }
  std::span<const Place> operator[](Place i) const {
    const auto at = static_cast<std::size_t>(i);
    return {places_.data() + starts_[at], places_.data() + starts_[at + 1]};
  }

 private:
  std::vector<Place> places_;
  std::vector<Place> starts_;
};

/// A value between two consecutive touches by first runs: from its making or a use to the next use.
struct Gap {
  Place value = 0;
  Place begin = 0;    ///< slot; -1 for inputs
  Place end = 0;      ///< slot; the number of slots after the last use
  bool last = false;  ///< only replays can use the value in it
  bool forced =
      false;  ///< nothing to decide: the value cannot be made again, or is held from outside
  bool handed_over = false;  ///< its storage went to another value as the gap began
};

/// An op graph as the search sees it. Never changes.
struct RetentionSpace {
  /// Errors: InvalidArgument if an op reads a value that was overwritten in place and cannot be made again.
  RetentionSpace(const OpGraph& graph, const graph::IndexedGraph& index);

  Place slots() const { return static_cast<Place>(time_of_replay.size()); }
  Place values() const { return static_cast<Place>(bytes.size()); }

  /// The gap of `value` that `slot` lies in or ends.
  Place gap_at(Place value, Place slot) const {
    auto gap = first_gap[static_cast<std::size_t>(value)];
    while (gaps[static_cast<std::size_t>(gap)].end < slot) ++gap;
    return gap;
  }

  std::int64_t fixed = 0;
  std::int64_t plain_time = 0;
  // of ops
  PlaceLists reads;
  PlaceLists writes;
  PlaceLists touched_first;  ///< what the first run needs: reads, and values held until it has run
  PlaceLists handed_over;    ///< reads whose storage the first run gives to what it writes
  std::vector<std::int64_t> time_of_replay;
  std::vector<std::int64_t> workspace;
  std::vector<bool> backward;
  // of values
  std::vector<std::int64_t> bytes;
  std::vector<Place> writer;  ///< -1 for inputs
  std::vector<bool> replayable;
  std::vector<bool> ever_held;  ///< from outside, for a time
  std::vector<Place> first_gap;
  std::vector<Gap> gaps;  ///< those of a value one behind the other, in order of time
};

}  // namespace remat::plan

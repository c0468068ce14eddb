// What the search over an op graph decides on: for each value, the gaps between its uses.
#pragma once

#include <cstdint>

#include <remat/graph.h>

#include "graph/indexed_graph.h"
#include "plan/places.h"

namespace remat::plan {

/// A value between two consecutive touches by first runs: from its making or a use to the next use.
struct Gap {
  ValuePlace value;
  Slot begin;         ///< none for inputs
  Slot end;           ///< RetentionSpace::end() after the last use
  bool last = false;  ///< only replays can use the value in it
  bool forced =
      false;  ///< nothing to decide: the value cannot be made again, or is held from outside
  bool handed_over = false;  ///< its storage went to another value as the gap began
};

/// An op graph as the search sees it. Never changes.
struct RetentionSpace {
  /// Errors: InvalidArgument if an op reads a value that was overwritten in place and cannot be made again.
  RetentionSpace(const OpGraph& graph, const graph::IndexedGraph& index);

  Places<Slot> slots() const { return Places<Slot>(time_of_replay.size()); }
  Slot end() const { return Slot(time_of_replay.size()); }  ///< behind the last slot

  /// The gap of `value` that `slot` lies in or ends.
  GapPlace gap_at(ValuePlace value, Slot slot) const {
    auto gap = first_gap[value];
    while (gaps[gap].end < slot) ++gap;
    return gap;
  }

  std::int64_t fixed = 0;
  std::int64_t plain_time = 0;
  // of ops
  ListsByPlace<OpPlace, ValuePlace> reads;
  ListsByPlace<OpPlace, ValuePlace> writes;
  /// What the first run needs: reads, and values held until it has run.
  ListsByPlace<OpPlace, ValuePlace> touched_first;
  /// Reads whose storage the first run gives to what it writes.
  ListsByPlace<OpPlace, ValuePlace> handed_over;
  ByPlace<OpPlace, std::int64_t> time_of_replay;
  ByPlace<OpPlace, std::int64_t> workspace;
  ByPlace<OpPlace, bool> backward;
  // of values
  ByPlace<ValuePlace, std::int64_t> bytes;
  ByPlace<ValuePlace, OpPlace> writer;  ///< none for inputs
  ByPlace<ValuePlace, bool> replayable;
  ByPlace<ValuePlace, bool> ever_held;  ///< from outside, for a time
  ByPlace<ValuePlace, GapPlace> first_gap;
  ByPlace<GapPlace, Gap> gaps;  ///< those of a value one behind the other, in order of time
};

}  // namespace remat::plan

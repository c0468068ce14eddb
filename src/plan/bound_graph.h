// An op graph as the lower bounds see it: what no plan can avoid.
#pragma once

#include <cstdint>
#include <vector>

#include <remat/graph.h>

#include "graph/indexed_graph.h"
#include "plan/places.h"

namespace remat::plan {

/// Places of ops, of moments and of values.
using Place = std::int32_t;
using PlaceLists = ListsByPlace<Place, Place>;

/// Op i runs first at moment i, in every plan. Never changes.
struct BoundGraph {
  BoundGraph(const OpGraph& graph, const graph::IndexedGraph& index);

  Place moments() const { return static_cast<Place>(replay_time.size()); }
  Place values() const { return static_cast<Place>(bytes.size()); }

  struct ValueAt {
    Place value = 0;
    Place moment = 0;
  };
  /// Whether no plan keeps the value from being resident while the moment's op runs first.
  bool forced(ValueAt what) const;
  /// Whether first runs after the moment read the value.
  bool needed_after(ValueAt what) const;
  /// Whether the value's op cannot run again once the moment has come.
  bool final_at(ValueAt what) const;

  std::int64_t fixed = 0;
  std::int64_t inputs = 0;  ///< bytes resident before anything runs
  std::int64_t plain_time = 0;
  /// No plan can run this: an op reads what was overwritten and cannot be made again.
  bool possible = true;
  // of ops
  PlaceLists reads;
  PlaceLists writes;
  PlaceLists handed_over;  ///< reads whose storage the first run gives to what it writes
  std::vector<std::int64_t> replay_time;
  std::vector<std::int64_t> workspace;
  std::vector<Place>
      lost_from;  ///< the first moment after which it cannot run again; -1: never can
  std::vector<bool> must_replay;  ///< in every plan, at least once
  std::int64_t must_replay_time = 0;
  // of values
  std::vector<std::int64_t> bytes;
  std::vector<Place> writer;     ///< -1 for inputs
  std::vector<Place> last_read;  ///< by a first run; -1 if none reads it
  std::vector<Place> taken_at;   ///< when its storage is first handed over; moments() if never
  std::vector<Place> held_until;
};

/// For each moment, as its op runs first, without OpGraph::fixed, with the op's workspace.
struct MomentBytes {
  std::vector<std::int64_t> forced;  ///< resident in every plan
  std::vector<std::int64_t> plain;   ///< resident in the plain step
  /// Resident if all that can be made again later is. No plan needs more there, some may need less.
  std::vector<std::int64_t> all_replayed;
};
/// Cost: linear in values, reads and writes.
MomentBytes moment_bytes(const BoundGraph& graph);

}  // namespace remat::plan

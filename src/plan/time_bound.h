// What no plan can beat, and the moment that says so.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include <remat/bytes.h>
#include <remat/graph.h>
#include <remat/planner.h>

namespace remat::plan {

/// Why a step cannot take less time than lower_bound_time, or not fit at all.
struct TimeBound {
  std::optional<std::chrono::nanoseconds> time;  ///< of the whole step; empty: no plan fits
  /// The op during whose first run memory is so short that replays must follow; empty if the plain step
  /// fits at each moment.
  std::optional<OpId> binding_op;
  Bytes
      in_use;  ///< in every plan as it runs: OpGraph::fixed, what it touches, what cannot be dropped
  Bytes plain;  ///< in the plain step as it runs
  /// Ops that run again after that moment in a choice close to the bound, which fits at the moment but perhaps
  /// not at others.
  std::vector<OpId> replayed;
};
TimeBound time_bound(const OpGraph& graph, Bytes budget);

/// The peak of every plan is at least `peak`.
struct PeakBound {
  Bytes peak;
  std::optional<OpId> binding_op;  ///< empty: before the first op
};
PeakBound peak_bound(const OpGraph& graph);

}  // namespace remat::plan

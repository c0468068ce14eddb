// What both simulators note of the actions that they execute.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include <remat/simulator.h>

#include "base/wide_sum.h"

namespace remat::plan {

/// An action that runs something.
struct ActionCost {
  Bytes live;  ///< memory while it runs
  std::chrono::nanoseconds time{0};
};

/// Whether the time of an execution stays below 2^63 ns with `next` added: an action for which it does
/// not is a fault.
inline bool time_fits(const Simulation& so_far, std::chrono::nanoseconds next) {
  return fits(WideSum{so_far.time.count()} + next.count());
}

/// What the fault of such an action says.
inline constexpr const char* kTimeTooLong = "the times add up to more than 2^63 - 1 ns";

/// Adds an action to the timeline, the time and the peak.
inline void record(Simulation& simulation, std::int64_t action, ActionCost cost) {
  simulation.timeline.push_back({action, cost.live});
  simulation.time += cost.time;
  if (cost.live > simulation.peak) {
    simulation.peak = cost.live;
    simulation.peak_action = action;
  }
}

}  // namespace remat::plan

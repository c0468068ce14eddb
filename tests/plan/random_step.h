// Op graphs of training steps, small enough for an exact planner.
#pragma once

#include <cstdint>

#include <remat/graph.h>

#include "tests/testing/choices.h"

namespace remat::testing {

struct StepLimits {
  std::int64_t forward_ops = 6;  ///< at least 2 are made
  std::int64_t largest = 20;     ///< bytes and nanoseconds of one value or op
  std::int64_t oddities = 4;  ///< one in so many ops and values has one: see random_step; 0: none
};

/// A chain with skip links, the loss, and a backward op for each forward op, which reads what that one read
/// or wrote and a gradient. Costs are unequal. Oddities: an op of two outputs, an op that works in
/// place, one that may not run again, another time for replays, workspace, a value that is held.
OpGraph random_step(Choices& choices, StepLimits limits);

}  // namespace remat::testing

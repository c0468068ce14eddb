// A step that needs no file, to try the benchmark itself.
#pragma once

#include <remat/graph.h>

namespace remat::benchmarks {

/// Sixteen layers of unequal size, forward and backward.
OpGraph small_step();

}  // namespace remat::benchmarks

// A model's layers with a watch on each: how often it ran, in forwards and in recomputations, and how long.
#pragma once

#include <vector>

#include <remat/sequential.h>

#include "checkpoint_overhead/models.h"
#include "common/meter.h"

namespace remat::benchmarks {

/// The runs of one layer in one step.
struct LayerRuns {
  Elapsed forward;
  Elapsed again;  ///< in recomputations, up to an early stop
  int times_again = 0;
};

/// `layers`, which note in `runs` what they take, by the clock of `meter`. Both must outlive them, and `runs` keep
/// its size.
std::vector<remat::Layer> watched(const std::vector<Layer>& layers, const Meter& meter,
                                  std::vector<LayerRuns>& runs);

}  // namespace remat::benchmarks

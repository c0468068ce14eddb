// Chains and op graphs that grow.
#pragma once

#include <cstdint>

#include <remat/graph.h>

namespace remat::benchmarks {

/// `stages` stages in turn of `kinds` kinds that differ in all sizes and times, then a loss. Activations
/// of 1 to 16 MiB, 4 to 100 MiB saved on top, forwards of 0.1 to 5 ms, backwards twice as long. The
/// sizes are odd numbers of bytes.
Chain chain_of(std::int64_t stages, std::int64_t kinds);

/// `layers` layers of two ops forward and two backward, which reads what forward made; sizes and times
/// differ from layer to layer.
OpGraph graph_of(std::int64_t layers);

}  // namespace remat::benchmarks

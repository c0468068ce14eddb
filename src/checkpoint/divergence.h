// How a recomputation that differs from its forward is reported.
#pragma once

#include <cstddef>
#include <string>

#include "checkpoint/recomputation.h"

namespace remat {

/// Throws CheckpointError if `recomputed` is not what `forward` saved, position by position, as far as
/// the recomputation had to go (`needed` tensors; all if it was not stopped early).
void check_same_pass(const ForwardRecord& forward, const RegionPass& recomputed, std::size_t needed,
                     bool stopped);

/// "remat::checkpoint" or "remat::checkpoint 'name'".
std::string region_name(const CheckpointOptions& options);

}  // namespace remat

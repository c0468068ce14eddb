// Layers run one after another, some runs of them checkpointed as a placement says.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <torch/nn/modules/container/sequential.h>

#include <remat/checkpoint.h>
#include <remat/placement.h>

namespace remat {

/// Runs `sequential` on `x`, split into `segments` runs of modules; each run but the last is one
/// checkpointed region. torch.utils.checkpoint_sequential for C++.
///
/// The split is Placement::segments_of(segments): run lengths differ by at most one (PyTorch instead
/// gives the remainder to the last, unchecked run).
///
/// Shapes:   x is what the first module takes; each module takes one tensor and gives one.
/// Errors:   InvalidArgument if `segments` < 1 or exceeds the number of modules, or if `sequential` is
///           empty; otherwise as remat::checkpoint.
/// Threads, Lifetime: as remat::checkpoint; the modules are shared with `sequential`, not copied.
/// Cost:     one more forward of all but the last run.
at::Tensor checkpoint_sequential(const torch::nn::Sequential& sequential, std::int64_t segments,
                                 at::Tensor x, const CheckpointOptions& options = {});

/// A layer of a chain: one tensor in, one out.
using Layer = std::function<at::Tensor(at::Tensor)>;

/// Runs `layers` on `x` in order; every checkpointed segment of `placement` is one region.
///
/// Errors:   InvalidArgument from Placement::segments (no layers, or too few); otherwise as
///           remat::checkpoint.
/// Lifetime: the layers are copied into the regions; what they refer to must live until backward.
/// Example:  auto y = remat::run_layers(blocks, remat::Placement::sqrt(), x);
at::Tensor run_layers(const std::vector<Layer>& layers, const Placement& placement, at::Tensor x,
                      const CheckpointOptions& options = {});

}  // namespace remat

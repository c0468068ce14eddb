// The backward pass that this thread is working on.
// Tried on LibTorch 1.13.1 and 2.6.0.
#pragma once

#include <memory>

namespace remat::torch_bridge {

/// Identifies a running backward pass; nullptr outside of one. Valid, and not reused, until the
/// callbacks given to on_graph_task_end for it have been destroyed.
using GraphTaskId = const void*;

GraphTaskId current_graph_task();

/// Keeps `resource` until the current backward pass is over, whether it succeeds or throws.
/// Needs current_graph_task() != nullptr.
void keep_until_graph_task_ends(std::shared_ptr<void> resource);

}  // namespace remat::torch_bridge

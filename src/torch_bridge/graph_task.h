// The backward pass that this thread is working on, and the group of passes that it belongs to.
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include <c10/util/ThreadLocalDebugInfo.h>

namespace remat::torch_bridge {

/// Passes that share what is recomputed: holds resources until it is released.
class PassGroup final : public c10::DebugInfoBase {
 public:
  void keep(std::shared_ptr<void> resource);
  void release();

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<void>> resources_;
};

/// While it lives, passes started on this thread belong to `group`. LibTorch takes it along to the threads
/// of the pass.
class PassGroupScope {
 public:
  explicit PassGroupScope(std::shared_ptr<PassGroup> group);

 private:
  c10::DebugInfoGuard guard_;
};

/// Identifies a group of passes, or a running backward pass that belongs to none; nullptr outside of
/// both. Valid, and not reused, until what was given to keep_until_pass_ends for it has been destroyed.
using PassId = const void*;

PassId current_pass();

/// Keeps `resource` until the current group is released, or the current backward pass is over, whether it
/// succeeds or throws. Needs current_pass() != nullptr.
void keep_until_pass_ends(std::shared_ptr<void> resource);

/// Whether this thread is inside a backward pass.
bool in_backward_pass();

/// After a backward pass that threw: lets go of the gradients that LibTorch keeps queued on this thread until
/// its next pass, by a pass of nothing. Throws nothing.
void drop_queued_gradients() noexcept;

/// Whether a tensor that a node of the current pass was given may be kept for it until the node is
/// released: that comes right after the node has run, unless the graph is retained; in a group it is what
/// the group is for.
bool nodes_may_ask_again();

}  // namespace remat::torch_bridge

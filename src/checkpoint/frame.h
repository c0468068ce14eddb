// One checkpointed call: what its forward left behind, and its recomputations.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include <remat/checkpoint.h>

#include "checkpoint/recomputation.h"
#include "checkpoint/saved_input.h"
#include "torch_bridge/engine_hooks.h"
#include "torch_bridge/graph_task.h"
#include "torch_bridge/thread_state.h"

namespace remat {

/// Owned by the hooks of the tensors that autograd saved in the region, one for each; dies with the
/// last of them. Safe to use from several backward threads at once.
class Frame final : public torch_bridge::HookProvider, public std::enable_shared_from_this<Frame> {
 public:
  using Recompute = detail::RegionForward::Recompute;

  Frame(const CheckpointOptions& options, const std::vector<at::Tensor>& inputs,
        Recompute recompute);

  /// The pass to push as an interceptor during the forward.
  ForwardPass& forward_pass() { return forward_; }
  std::unique_ptr<torch::autograd::SavedVariableHooks> make_hooks() override;

  /// The forward has returned.
  void finish_forward();

 private:
  class Hooks;
  class TaskEnd;

  std::size_t note_saved(const at::Tensor& tensor);
  at::Tensor unpack(std::size_t index);
  void release(std::size_t index);

  RecomputedTensors& tensors_of(torch_bridge::GraphTaskId task);
  void forget(torch_bridge::GraphTaskId task);
  at::Tensor take_or_recompute(RecomputedTensors& tensors, std::size_t index);
  void recompute_into(RecomputedTensors& tensors);
  std::vector<at::Tensor> unpack_inputs() const;

  const CheckpointOptions options_;
  const Recompute recompute_;
  std::vector<SavedInput> inputs_;
  torch_bridge::ThreadState thread_state_;

  // Recursive: what a recomputation lets go may release hooks of this very frame.
  std::recursive_mutex mutex_;
  ForwardPass forward_;
  bool finished_ = false;
  std::vector<bool> wanted_;  // for each saved tensor, whether autograd still holds its hooks
  std::map<torch_bridge::GraphTaskId, RecomputedTensors> recomputed_;  // Rule 5
};

}  // namespace remat

// One checkpointed call: what its forward left behind, and its recomputations.
#pragma once

#include <any>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include <remat/checkpoint.h>

#include "checkpoint/recomputation.h"
#include "checkpoint/saved_input.h"
#include "torch_bridge/device_state.h"
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

  /// Recomputes now what the current pass, or outside of one the next, will ask for (Rule 17).
  void prefetch();

 private:
  class Hooks;
  class PassEnd;

  std::size_t note_saved(const at::Tensor& tensor);
  at::Tensor unpack(std::size_t index);
  void release(std::size_t index);

  RecomputedTensors& tensors_of(torch_bridge::PassId pass);
  void forget(torch_bridge::PassId pass);
  at::Tensor take_or_recompute(RecomputedTensors& tensors, std::size_t index);
  void recompute_into(RecomputedTensors& tensors);
  void run_recomputation(const std::vector<at::Tensor>& inputs, RecomputedTensors& tensors);
  std::vector<at::Tensor> unpack_inputs() const;

  const CheckpointOptions options_;
  const Recompute recompute_;
  const std::any user_state_;  // at the forward's start (Rule 16)
  std::vector<SavedInput> inputs_;
  torch_bridge::ThreadState thread_state_;
  torch_bridge::DeviceState device_state_;

  // Recursive: what a recomputation lets go may release hooks of this very frame.
  std::recursive_mutex mutex_;
  ForwardPass forward_;
  bool finished_ = false;
  std::vector<bool> wanted_;  // for each saved tensor, whether autograd still holds its hooks
  std::map<torch_bridge::PassId, RecomputedTensors> recomputed_;  // Rule 5
  RecomputedTensors prefetched_;                                  // for the next pass
};

}  // namespace remat

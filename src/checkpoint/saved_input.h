// A tensor argument of a region, kept for recomputation.
#pragma once

#include <ATen/core/Tensor.h>

#include "checkpoint/outside_tensors.h"
#include "torch_bridge/hooked_tensor.h"

namespace remat {

/// Keeps a tensor through whatever saved-tensor hooks are active, so that the input of a nested region
/// belongs to the region around it (Rule 6); without hooks, the tensor itself.
class SavedInput {
 public:
  explicit SavedInput(const at::Tensor& tensor);

  /// To be called when the forward is over: if the region wrote the tensor, lets go of the history it
  /// got by that, which would keep the graph alive for ever.
  void forget_history_if_written(const Preimages& written_by_region);

  /// The tensor as it was given.
  /// Errors: CheckpointError if it was changed in place since, other than by the region itself.
  at::Tensor unpack(const Preimages& written_by_region, const std::string& region,
                    std::size_t position) const;

 private:
  bool changed(const at::Tensor& unpacked, const Preimages& written_by_region) const;

  at::Tensor tensor_;  // undefined if kept by `saved_`, or given undefined
  torch_bridge::HookedTensor saved_;
  bool through_hooks_ = false;
  torch_bridge::WeakTensor original_;
  std::int64_t version_ = 0;
  bool required_grad_ = false;
};

}  // namespace remat

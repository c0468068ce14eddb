// A tensor saved as autograd's nodes save theirs: through whatever saved-tensor hooks are active.
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130.
#pragma once

#include <memory>

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/saved_variable.h>

namespace remat::torch_bridge {

class HookedTensor {
 public:
  HookedTensor() = default;
  explicit HookedTensor(const at::Tensor& tensor);

  /// The tensor with its data as the hooks give them back, and its autograd history.
  at::Tensor unpack() const { return saved_.unpack(); }

 private:
  // Of a leaf. `saved_` keeps it weakly, since a node that saves a leaf has an edge to it; this has none.
  // Made before `saved_`, which looks for it.
  std::shared_ptr<torch::autograd::Node> grad_accumulator_;
  torch::autograd::SavedVariable saved_;
};

}  // namespace remat::torch_bridge

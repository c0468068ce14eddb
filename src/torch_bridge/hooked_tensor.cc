#include "torch_bridge/hooked_tensor.h"

#include <torch/csrc/autograd/variable.h>

namespace remat::torch_bridge {

HookedTensor::HookedTensor(const at::Tensor& tensor) : saved_(tensor, /*is_output=*/false) {
  if (tensor.requires_grad() && tensor.is_leaf()) {
    grad_accumulator_ = torch::autograd::impl::grad_accumulator(tensor);
  }
}

}  // namespace remat::torch_bridge

#include "torch_bridge/hooked_tensor.h"

#include <torch/csrc/autograd/variable.h>

namespace remat::torch_bridge {

HookedTensor::HookedTensor(const at::Tensor& tensor)
    : grad_accumulator_(tensor.requires_grad() && tensor.is_leaf()
                            ? torch::autograd::impl::grad_accumulator(tensor)
                            : nullptr),
      saved_(tensor, /*is_output=*/false) {}

}  // namespace remat::torch_bridge

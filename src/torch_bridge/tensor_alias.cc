#include "torch_bridge/tensor_alias.h"

#include <ATen/Functions.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/functions/basic_ops.h>
#include <torch/csrc/autograd/variable.h>

#include "torch_bridge/op_interceptor.h"
#include "torch_bridge/torch_version.h"

namespace remat::torch_bridge {
namespace {

/// For work of remat's own: no autograd, no interceptors.
struct BelowEverything {
  InterceptorPause pause;
  at::AutoDispatchBelowADInplaceOrView below_autograd;
};

/// Gives `tensor` a history that ends in an error, so that autograd treats it as an operator's result.
void attach_dead_end(at::Tensor& tensor) {
  torch::autograd::create_gradient_edge(
      tensor,
      std::make_shared<torch::autograd::Error>(
          "remat: a gradient reached a private copy made for recomputation; this is a bug in "
          "remat, please report it"));
}

}  // namespace

at::Tensor detached_alias(const at::Tensor& tensor) {
  InterceptorPause pause;  // the head of a sparse tensor makes empty tensors
  return at::Tensor(tensor.tensor_data());
}

c10::StorageImpl* storage_of(const at::Tensor& tensor) {
  return tensor.defined() && tensor.unsafeGetTensorImpl()->has_storage()
             ? tensor.storage().unsafeGetStorageImpl()
             : nullptr;
}

std::int64_t version_of(const at::Tensor& tensor) {
  return tensor.is_inference() ? 0 : static_cast<std::int64_t>(tensor._version());
}

const char* bytes_to_read(const at::Tensor& tensor) {
#if REMAT_TORCH_AT_LEAST(2, 1)
  return static_cast<const char*>(tensor.const_data_ptr());
#else
  return static_cast<const char*>(tensor.data_ptr());
#endif
}

at::Tensor copy_of_storage(const at::Tensor& tensor) {
  BelowEverything guard;
  const auto bytes = static_cast<std::int64_t>(tensor.storage().nbytes());
  const auto options = tensor.options().dtype(at::kByte).layout(at::kStrided);
  const at::Tensor whole = at::empty({0}, options).set_(tensor.storage(), 0, {bytes}, {1});
  return whole.clone();
}

at::Tensor view_of_bytes(const at::Tensor& storage_bytes, const at::Tensor& like,
                         bool requires_grad) {
  at::Tensor view;
  {
    BelowEverything guard;
    view = at::empty({0}, like.options().requires_grad(c10::nullopt))
               .set_(storage_bytes.storage(), like.storage_offset(), like.sizes(), like.strides());
    view._set_conj(like.is_conj());
    view._set_neg(like.is_neg());
    torch::autograd::impl::set_version_counter(
        view, torch::autograd::impl::version_counter(storage_bytes));
  }
  if (requires_grad) {
    attach_dead_end(view);
  }
  return view;
}

at::Tensor WeakTensor::lock() const { return at::Tensor(weak_.lock()); }

StorageAddress address_of_storage(const at::Tensor& tensor) {
  return tensor.storage().getWeakStorageImpl();
}

}  // namespace remat::torch_bridge

#include "torch_bridge/storage_view.h"

#include <cstring>

#include <ATen/Functions.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/TensorImpl.h>

#include "torch_bridge/op_interceptor.h"

namespace remat::torch_bridge {
at::Tensor tensor_on(const c10::Storage& storage, const StorageView& view) {
  const auto key = c10::computeDispatchKey(view.dtype, c10::kStrided, storage.device());
  at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(storage), c10::DispatchKeySet(key), c10::scalarTypeToTypeMeta(view.dtype));
  auto* impl = tensor.unsafeGetTensorImpl();
  impl->set_sizes_and_strides(view.sizes, view.strides);
  impl->set_storage_offset(view.offset);
  if (view.conjugate) impl->_set_conj(true);
  if (view.negative) impl->_set_neg(true);
  return tensor;
}

at::Tensor bytes_of(const c10::Storage& storage) {
  const auto count = static_cast<std::int64_t>(storage.nbytes());
  const std::int64_t stride = 1;
  return tensor_on(storage, {{&count, 1}, {&stride, 1}, 0, c10::kByte});
}

bool covers_storage(const at::Tensor& tensor) {
  return tensor.is_non_overlapping_and_dense() && tensor.nbytes() == tensor.storage().nbytes();
}

c10::Storage copy_of(const c10::Storage& storage) {
  const InterceptorPause pause;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return bytes_of(storage).clone().storage();
}

void overwrite(const c10::Storage& to, const c10::Storage& from) {
  const InterceptorPause pause;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  const at::Tensor bytes = bytes_of(from);
  bytes_of(to).narrow(0, 0, bytes.numel()).copy_(bytes);
}

void clear(const c10::Storage& storage) {
  const InterceptorPause pause;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  bytes_of(storage).zero_();
}

bool is_all_zero(const c10::StorageImpl& storage) {
  const auto* const bytes = static_cast<const char*>(storage.data_ptr().get());
  if (bytes == nullptr || !storage.device().is_cpu()) return false;
  // Each byte is the one before it, and the first is 0.
  return bytes[0] == 0 && std::memcmp(bytes, bytes + 1, storage.nbytes() - 1) == 0;
}

c10::Storage fresh_storage(std::int64_t bytes, c10::Device device) {
  const InterceptorPause pause;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return at::empty({bytes}, at::TensorOptions(c10::kByte).device(device)).storage();
}

}  // namespace remat::torch_bridge

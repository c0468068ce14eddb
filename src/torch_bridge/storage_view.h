// How a tensor lies in its storage, and tensors made again on a storage, without an operator call.
// Tried on LibTorch 1.13.1 and 2.11.0+cu130.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>
#include <c10/core/Storage.h>

namespace remat::torch_bridge {

/// All that tells two views of one storage apart. The arrays are somebody else's.
struct StorageView {
  c10::IntArrayRef sizes;
  c10::IntArrayRef strides;
  std::int64_t offset = 0;
  c10::ScalarType dtype = c10::kFloat;
  bool conjugate = false;
  bool negative = false;
};

/// Whether remat can make `tensor` again from the bytes of its storage: strided, with a storage, not
/// quantised, not a subclass of another library.
inline bool is_plain(const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.layout() != c10::kStrided) return false;
  const c10::TensorImpl& impl = *tensor.unsafeGetTensorImpl();
  return impl.has_storage() && !tensor.is_quantized() &&
         impl.storage().unsafeGetStorageImpl() != nullptr;
}

/// Of a plain tensor. Refers to the arrays of `tensor`.
inline StorageView view_of(const at::Tensor& tensor) {
  return {tensor.sizes(),       tensor.strides(), tensor.storage_offset(),
          tensor.scalar_type(), tensor.is_conj(), tensor.is_neg()};
}

/// A tensor without history on `storage`, with a version counter of its own.
at::Tensor tensor_on(const c10::Storage& storage, const StorageView& view);

/// All bytes of a storage, as one row.
at::Tensor bytes_of(const c10::Storage& storage);

/// Whether the view covers every byte of its storage once, in whatever order.
bool covers_storage(const at::Tensor& tensor);

/// A storage of the same size with the same bytes. Unseen by interceptors and autograd.
c10::Storage copy_of(const c10::Storage& storage);

/// Writes the bytes of `from` over the first ones of `to`. Unseen as copy_of; allocates no tensor memory.
void overwrite(const c10::Storage& to, const c10::Storage& from);
/// The same, with zeros.
void clear(const c10::Storage& storage);
/// Whether all bytes are known to be 0: not asked of devices other than the CPU.
/// Cost: stops at the first that is not.
bool is_all_zero(const c10::StorageImpl& storage);

/// A new storage of `bytes` bytes that nobody has written, on `device`. Unseen as copy_of.
c10::Storage fresh_storage(std::int64_t bytes, c10::Device device);

}  // namespace remat::torch_bridge

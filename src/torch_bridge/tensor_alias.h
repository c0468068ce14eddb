// Making tensors that stand for other tensors, without an operator call that anyone could see.
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>

namespace remat::torch_bridge {

/// The same data and the same version counter, without autograd history: what a hook may keep.
at::Tensor detached_alias(const at::Tensor& tensor);

/// The storage of a tensor, as an identity; nullptr for tensors without one (sparse, opaque).
c10::StorageImpl* storage_of(const at::Tensor& tensor);

/// The version of a tensor's data; 0 where versions are not counted (inference tensors).
std::int64_t version_of(const at::Tensor& tensor);

/// Where the elements of a tensor with plain data begin. Reading makes no copy of data that are shared
/// until somebody writes.
const char* bytes_to_read(const at::Tensor& tensor);

/// A copy of all bytes of the storage behind `tensor`, as a one-dimensional tensor of bytes.
at::Tensor copy_of_storage(const at::Tensor& tensor);

/// A tensor like `like` (sizes, strides, offset, dtype, conjugate and negative bits) whose data are
/// `storage_bytes`, and which shares its version counter. If it `requires_grad` it counts as the result of
/// an operator, so that it may be written in place; its gradient leads nowhere.
at::Tensor view_of_bytes(const at::Tensor& storage_bytes, const at::Tensor& like,
                         bool requires_grad);

/// A tensor that someone else keeps alive, or no longer does.
class WeakTensor {
 public:
  WeakTensor() = default;
  explicit WeakTensor(const at::Tensor& tensor) : weak_(tensor.getIntrusivePtr()) {}

  /// The tensor if it still lives, otherwise an undefined one.
  at::Tensor lock() const;

 private:
  c10::weak_intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl> weak_{
      c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>()};
};

/// Keeps the address of a storage from being used again, but not its data.
using StorageAddress = c10::weak_intrusive_ptr<c10::StorageImpl>;
StorageAddress address_of_storage(const at::Tensor& tensor);

}  // namespace remat::torch_bridge

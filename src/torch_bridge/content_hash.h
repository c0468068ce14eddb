// A hash of a tensor's content, to compare it with what it was, or with a replay, without keeping either.
// Tried on LibTorch 1.13.1 and 2.11.0+cu130.
#pragma once

#include <ATen/core/Tensor.h>

#include "torch_bridge/byte_hash.h"

namespace remat::torch_bridge {

/// Of the elements that the tensor shows, in row-major order: equal for tensors of equal bits, whatever
/// their strides and where they lie. Sizes and dtype are not part of it. Conjugate and negative views
/// count as what they stand for.
///
/// Unseen by interceptors and autograd. Tensors without plain data (undefined, sparse, opaque, meta, zero
/// tensors) hash to {}.
/// Cost: reads the elements once, on this thread. Allocates tensors only for what is not on the CPU, which is
///       copied there, and for conjugate and negative views.
Hash128 content_hash(const at::Tensor& tensor);

/// Of the bytes of the elements that the tensor shows, in the order in which they lie in memory where they
/// lie without gaps (channels_last, transposed): for tensors of equal sizes and strides, and faster than
/// content_hash() where the two orders differ. Conjugate and negative bits are not looked at. As above else.
Hash128 memory_order_hash(const at::Tensor& tensor);

/// Of all bytes of the storage behind the tensor, padding and what other views show included. As above.
Hash128 storage_hash(const at::Tensor& tensor);

}  // namespace remat::torch_bridge

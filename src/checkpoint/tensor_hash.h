// A hash of a tensor's content, to compare two passes bit for bit without keeping either.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace remat {

/// Equal for tensors of equal bits in row-major order, whatever their strides. Not cryptographic.
/// Unseen by interceptors and autograd. Tensors without plain data (sparse, opaque, meta) hash to 0.
/// Cost: reads the tensor once; a device tensor is copied to the host.
std::uint64_t content_hash(const at::Tensor& tensor);

}  // namespace remat

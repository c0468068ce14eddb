// LibTorch's own memory-efficient attention, where the version has one.
// Tried on LibTorch 1.13.1 and 2.11.0+cu130.
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

namespace remat::torch_bridge {

/// softmax(q k^T / sqrt(D), causally masked) v by at::scaled_dot_product_attention; nothing if this
/// LibTorch has none that keeps its memory linear in T on the device of `q`.
///
/// Shapes: q, k, v (B, H, T, D); returns (B, H, T, D).
std::optional<at::Tensor> fused_causal_attention(const at::Tensor& q, const at::Tensor& k,
                                                 const at::Tensor& v);

}  // namespace remat::torch_bridge

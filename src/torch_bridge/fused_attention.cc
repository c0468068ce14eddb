#include "torch_bridge/fused_attention.h"

#include "torch_bridge/torch_version.h"

#if REMAT_TORCH_AT_LEAST(2, 2)
#include <ATen/ops/scaled_dot_product_attention.h>
#endif

namespace remat::torch_bridge {

// 2.0 and 2.1 have the operator, but compute it on the CPU with T x T weights, unless told that no
// gradient is needed (_scaled_dot_product_flash_attention_for_cpu is new in 2.2). On CUDA, float64 has
// no kernel but that one in any version.
#if REMAT_TORCH_AT_LEAST(2, 2)
std::optional<at::Tensor> fused_causal_attention(const at::Tensor& q, const at::Tensor& k,
                                                 const at::Tensor& v) {
  if (!q.is_cpu() && q.scalar_type() == at::kDouble) return std::nullopt;
  return at::scaled_dot_product_attention(q, k, v, /*attn_mask=*/{}, /*dropout_p=*/0.0,
                                          /*is_causal=*/true);
}
#else
std::optional<at::Tensor> fused_causal_attention(const at::Tensor& /*q*/, const at::Tensor& /*k*/,
                                                 const at::Tensor& /*v*/) {
  return std::nullopt;
}
#endif

}  // namespace remat::torch_bridge

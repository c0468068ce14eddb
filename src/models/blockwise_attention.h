// Causal attention block by block: memory grows with T, not with T x T.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace remat::models {

/// Queries and keys of a block. At 128 x 128 the scores of one head are 64 KiB in float32, so that they
/// stay in a core's L2 cache between the operators that read them.
inline constexpr std::int64_t kAttentionBlock = 128;

/// softmax(q k^T / sqrt(D), causally masked) v, without a T x T tensor: scores are made and used up
/// block by block, in forward and again in backward. Heads may share keys and values (grouped-query
/// attention): query head h uses those of head h / (H / G).
///
/// Shapes:  q (B, H, T, D); k, v (B, G, T, D), H a multiple of G; returns (B, H, T, D).
/// Errors:  Error from backward if it shall build a graph itself (double backward).
/// Cost:    keeps q, k, v, the result and a number for each row; backward makes the scores again. Blocks
///          of float16 and bfloat16 are multiplied as they are, but summed up in float32.
/// Source:  Dao et al. 2022, "FlashAttention", arXiv:2205.14135, algorithms 1 and 4 (sections 3.1 and
///          B.4), with the loop over queries outside, so that the result is rescaled in place; the mask
///          and dropout of its general form left out.
at::Tensor blockwise_causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                      std::int64_t block = kAttentionBlock);

}  // namespace remat::models

// The op graph of a training step of a decoder, of any number of blocks.
#pragma once

#include <cstdint>

#include <remat/graph.h>

namespace remat::testing {

struct DecoderSizes {
  std::int64_t blocks = 80;
  std::int64_t attention_parts =
      1;  ///< in which attention runs, one behind the other; divides `heads`
  std::int64_t heads = 10;
  std::int64_t batch = 2;
  std::int64_t tokens = 1024;
  std::int64_t width = 1280;
  std::int64_t vocabulary = 50'304;
};

/// A decoder of GPT-2's kind in single precision: LayerNorm, attention with its weights in memory, dropout,
/// GELU by its tanh formula, op by op; backward adds each weight's gradient to what there is. A block has
/// 61 + 19 * attention_parts ops: 80 with all heads in one batched product, 251 with one for each of 10.
///
/// Units: times are those of a processor of 10 TFLOP/s and 500 GB/s that takes at least 5 µs an op, each up
///        to 3 % off, as measured ones are. Fixed are parameters, gradients and Adam's two moments.
OpGraph transformer_step(const DecoderSizes& sizes);

}  // namespace remat::testing

// Text that a decoder writes.
#pragma once

#include <cstdint>
#include <string>

#include "models/decoder.h"

namespace remat::models {

struct SamplingOptions {
  std::int64_t tokens = 200;
  double temperature = 1;  ///< logits are divided by it; 0: the likeliest byte, always
  std::int64_t top_k = 0;  ///< the likeliest bytes that are chosen from; 0: all
  std::uint64_t seed = 1;
};

/// `options.tokens` bytes that `decoder` goes on with after `prompt`, of which it sees the last `seq`
/// bytes; after a line end where the prompt is empty. Leaves the decoder in evaluation mode.
///
/// Moves no generator of LibTorch's: the bytes depend on the decoder, the prompt and the options alone.
/// Errors:  Error if the decoder's logits are not finite numbers.
/// Cost:    a forward pass of up to `seq` tokens for each byte.
/// Source:  Fan et al. 2018, "Hierarchical Neural Story Generation", arXiv:1805.04833, section 5.2: top-k.
std::string sample(Decoder& decoder, const std::string& prompt, const SamplingOptions& options);

}  // namespace remat::models

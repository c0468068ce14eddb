#include "checkpoint/tensor_hash.h"

#include <cstring>

#include <ATen/core/LegacyTypeDispatch.h>

#include "torch_bridge/op_interceptor.h"

namespace remat {
namespace {

// Multiply-xorshift over eight-byte words: one multiplication a word, every input bit spreads.
std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15u;  // 2^64 divided by the golden ratio
  return hash ^ (hash >> 29);
}

std::uint64_t hash_bytes(const char* bytes, std::size_t count) {
  std::uint64_t hash = mix(0, count);
  std::uint64_t word = 0;
  for (; count >= sizeof(word); bytes += sizeof(word), count -= sizeof(word)) {
    std::memcpy(&word, bytes, sizeof(word));
    hash = mix(hash, word);
  }
  word = 0;
  if (count > 0) {  // an empty tensor may have no bytes to point to
    std::memcpy(&word, bytes, count);
  }
  return mix(hash, word);
}

}  // namespace

std::uint64_t content_hash(const at::Tensor& tensor) {
  if (tensor.layout() != c10::kStrided || tensor.is_meta()) {
    return 0;
  }
  torch_bridge::InterceptorPause pause;
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  const at::Tensor plain = tensor.resolve_conj().resolve_neg().contiguous().cpu();
  return hash_bytes(static_cast<const char*>(plain.data_ptr()), plain.nbytes());
}

}  // namespace remat

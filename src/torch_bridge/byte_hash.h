// 128 bits that stand for a string of bytes, as fast as one core reads memory. Not cryptographic.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace remat::torch_bridge {

struct Hash128 {
  std::uint64_t low = 0, high = 0;
};
inline bool operator==(const Hash128& a, const Hash128& b) {
  return a.low == b.low && a.high == b.high;
}
inline bool operator!=(const Hash128& a, const Hash128& b) { return !(a == b); }

/// Hashes bytes that come piece by piece; how they were cut does not matter, nor where they lie.
///
/// Strings of one length that were not made to collide do so with a chance of about 2^-128: 2^-64 for each
/// half. The same on all machines of one byte order.
/// Cost:   two multiplications for 16 bytes; 256 bytes at least.
/// Source: NH of Black et al., "UMAC: Fast and Secure Message Authentication" (1999), section 3, for
///         blocks; its second half by the Toeplitz shift of section 4.
class ByteHasher {
 public:
  void add(const void* bytes, std::size_t count);
  Hash128 finish() const;

 private:
  static constexpr std::size_t kBlock = 256;

  Hash128 state_;
  std::array<char, kBlock> pending_{};  // the last `total_ % kBlock` bytes
  std::uint64_t total_ = 0;
};

/// Of `count` bytes at once.
Hash128 hash_of_bytes(const void* bytes, std::size_t count);

}  // namespace remat::torch_bridge

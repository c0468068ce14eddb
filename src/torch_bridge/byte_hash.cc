#include "torch_bridge/byte_hash.h"

#include <algorithm>
#include <cstring>

namespace remat::torch_bridge {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::size_t kWords = 32;  // of a block
constexpr std::size_t kShift = 2;   // between the keys of the two halves

/// Words without a pattern: SplitMix64 (Steele et al., "Fast Splittable Pseudorandom Number Generators", 2014).
constexpr std::array<std::uint64_t, kWords + kShift> make_keys() {
  std::array<std::uint64_t, kWords + kShift> keys{};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    std::uint64_t word = (i + 1) * 0x9E3779B97F4A7C15;
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9;
    word = (word ^ word >> 27) * 0x94D049BB133111EB;
    keys[i] = word ^ word >> 31;
  }
  return keys;
}
constexpr auto kKeys = make_keys();

/// A bijection of the state for a given sum, and of each half of the sum for a given state.
std::uint64_t absorbed(std::uint64_t state, Wide sum) {
  state = (state ^ static_cast<std::uint64_t>(sum)) * 0x9E3779B97F4A7C15;
  state = (state ^ state >> 32 ^ static_cast<std::uint64_t>(sum >> 64)) * 0xC2B2AE3D27D4EB4F;
  return state ^ state >> 29;
}

void add_block(Hash128& state, const char* bytes) {
  Wide low = 0;
  Wide high = 0;
  for (std::size_t i = 0; i < kWords; i += 2) {
    std::array<std::uint64_t, 2> words{};
    std::memcpy(words.data(), bytes + i * sizeof(std::uint64_t), sizeof(words));
    low += Wide{words[0] + kKeys[i]} * (words[1] + kKeys[i + 1]);
    high += Wide{words[0] + kKeys[i + kShift]} * (words[1] + kKeys[i + 1 + kShift]);
  }
  state.low = absorbed(state.low, low);
  state.high = absorbed(state.high, high);
}

// MurmurHash3's: every bit of the result depends on every bit of the word.
std::uint64_t avalanched(std::uint64_t word) {
  word = (word ^ word >> 33) * 0xFF51AFD7ED558CCD;
  word = (word ^ word >> 33) * 0xC4CEB9FE1A85EC53;
  return word ^ word >> 33;
}

}  // namespace

void ByteHasher::add(const void* bytes, std::size_t count) {
  if (count == 0) return;  // no bytes may have no address
  const auto* from = static_cast<const char*>(bytes);
  const std::size_t waiting = total_ % kBlock;
  total_ += count;
  if (waiting > 0) {
    const std::size_t filled = std::min(count, kBlock - waiting);
    std::memcpy(pending_.data() + waiting, from, filled);
    if (waiting + filled < kBlock) return;
    add_block(state_, pending_.data());
    from += filled;
    count -= filled;
  }
  for (; count >= kBlock; from += kBlock, count -= kBlock) add_block(state_, from);
  std::memcpy(pending_.data(), from, count);
}

Hash128 ByteHasher::finish() const {
  Hash128 state = state_;
  if (const std::size_t waiting = total_ % kBlock; waiting > 0 || total_ == 0) {
    std::array<char, kBlock> last{};  // filled up with zeros: the length tells them from others
    std::memcpy(last.data(), pending_.data(), waiting);
    add_block(state, last.data());
  }
  return {avalanched(state.low ^ total_), avalanched(state.high + total_)};
}

Hash128 hash_of_bytes(const void* bytes, std::size_t count) {
  ByteHasher hasher;
  hasher.add(bytes, count);
  return hasher.finish();
}

}  // namespace remat::torch_bridge

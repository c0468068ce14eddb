// Small numbers in few bits: codes of 1, 2 or 4 bits, several to a byte, the first in its lowest bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace remat::tape {

/// `count` codes, a byte each and below 2^bits, into `count * bits / 8` bytes; `count` is a multiple of 8.
template <int bits>
void join_codes(const std::uint8_t* codes, std::size_t count, std::uint8_t* to) {
  constexpr std::size_t in_byte = 8 / bits;
  for (std::size_t i = 0; i < count / in_byte; ++i) {
    unsigned byte = 0;
    for (std::size_t j = 0; j < in_byte; ++j) byte |= unsigned{codes[i * in_byte + j]} << j * bits;
    to[i] = static_cast<std::uint8_t>(byte);
  }
}

/// Eight codes at once: the multiplication brings the lowest bit of byte j to bit 56 + j, and nothing else there.
template <>
inline void join_codes<1>(const std::uint8_t* codes, std::size_t count, std::uint8_t* to) {
  for (std::size_t i = 0; i < count / 8; ++i) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, codes + 8 * i, sizeof(eight));
    to[i] = static_cast<std::uint8_t>(eight * 0x0102040810204080 >> 56);
  }
}

/// The codes of every byte that there is.
template <int bits>
constexpr auto make_code_table() {
  std::array<std::array<std::uint8_t, 8 / bits>, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    for (unsigned j = 0; j < 8 / bits; ++j) {
      table[byte][j] = static_cast<std::uint8_t>(byte >> j * bits & ((1U << bits) - 1));
    }
  }
  return table;
}

/// The inverse: a byte for each code. Writes whole bytes' worth of codes, so up to 8 / bits - 1 more than `count`.
template <int bits>
void split_codes(const std::uint8_t* from, std::size_t count, std::uint8_t* codes) {
  static constexpr auto table = make_code_table<bits>();
  constexpr std::size_t in_byte = 8 / bits;
  for (std::size_t i = 0; i < (count + in_byte - 1) / in_byte; ++i) {
    std::memcpy(codes + i * in_byte, table[from[i]].data(), in_byte);
  }
}

}  // namespace remat::tape

// Whole numbers as the bytes of files, the lowest first.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace remat::cli {

template <class Number>
std::string little_endian(Number value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    bytes.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
  return bytes;
}

/// `bytes` has at least `offset` and the bytes of a Number.
template <class Number>
Number number_at(std::string_view bytes, std::size_t offset) {
  Number value = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    value |= static_cast<Number>(static_cast<Number>(static_cast<unsigned char>(bytes[offset + i]))
                                 << (8 * i));
  }
  return value;
}

}  // namespace remat::cli

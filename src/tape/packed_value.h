// A value in fewer bytes without loss: what most of a dropout's noise, a mask or a pooling's indices are.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

namespace remat::tape {

/// What pack() made of a value.
class PackedValue {
 public:
  /// A new tensor of the same sizes, strides and dtype, bit for bit the same, that begins its storage. It
  /// requires no gradient.
  /// Cost: reads the packed bytes and writes the value once, on this thread.
  at::Tensor unpack() const;

  /// In tensor memory, as an allocator counts it. Besides that some 200 bytes, and up to 16 elements.
  std::int64_t bytes() const { return static_cast<std::int64_t>(packed_.nbytes()); }

 private:
  template <class Element>
  friend class PatternPacker;
  template <class Element>
  friend class RangePacker;
  explicit PackedValue(const at::Tensor& value);

  template <class Element>
  void unpack_patterns(Element* to, std::size_t count) const;
  template <class Element>
  void unpack_range(Element* to, std::size_t count) const;

  c10::ScalarType dtype_;
  std::vector<std::int64_t> sizes_, strides_;
  int bits_ = 0;             // of a packed element: 1, 2, 4 for patterns, else a range
  std::vector<char> known_;  // the patterns, by code; the least number of the range
  at::Tensor packed_;        // bytes
};

/// `value` in one of these forms, the first that holds it in half its bytes or less:
/// - two different bit patterns, whatever they are (0 and 1 / (1 - p), true and false): a bit for each element;
/// - up to four, up to sixteen: two bits, four;
/// - integers of 16, 32 or 64 bits whose greatest is close enough to their least: 8, 16 or 32 bits.
///
/// nullopt if none does, and for what is not a dense CPU tensor of plain numbers: without elements, with gaps or
/// overlaps, on other devices, conjugate or negative views, sparse or quantised.
///
/// Compares bits, so that the payloads of NaN and the sign of zero are kept; bytes of the storage that
/// `value` does not show are not. Unseen by interceptors and autograd.
/// Cost: reads the value once (a range: twice) and writes the packed bytes; stops soon after what fits no form.
std::optional<PackedValue> pack(const at::Tensor& value);

}  // namespace remat::tape

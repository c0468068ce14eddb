#include "tape/packed_value.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <limits>
#include <type_traits>

#include <ATen/Functions.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include "base/check.h"
#include "tape/bit_codes.h"
#include "torch_bridge/op_interceptor.h"
#include "torch_bridge/tensor_alias.h"

namespace remat::tape {
namespace {

constexpr std::size_t kMostPatterns = 16;
// Elements whose codes are in the first-level cache between two steps; a multiple of 8.
constexpr std::size_t kChunk = 2048;

__extension__ using Wide = unsigned __int128;

at::Tensor new_bytes(std::size_t count) {
  const torch_bridge::InterceptorPause pause;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return at::empty({static_cast<std::int64_t>(count)}, at::kByte);
}

/// Calls `use` with the type of unsigned number that has `bytes` bytes.
template <class Use>
auto with_bits_of(std::size_t bytes, Use use) {
  switch (bytes) {
    case 1:
      return use(std::uint8_t{});
    case 2:
      return use(std::uint16_t{});
    case 4:
      return use(std::uint32_t{});
    case 8:
      return use(std::uint64_t{});
    default:
      return use(Wide{});
  }
}

/// Calls `use` with the number of bits as a type.
template <class Use>
void with_code_bits(int bits, Use use) {
  switch (bits) {
    case 1:
      return use(std::integral_constant<int, 1>{});
    case 2:
      return use(std::integral_constant<int, 2>{});
    default:
      return use(std::integral_constant<int, 4>{});
  }
}

bool can_be_packed(const at::Tensor& value) {
  return value.defined() && value.layout() == c10::kStrided && value.is_cpu() &&
         value.numel() > 0 && value.is_non_overlapping_and_dense() && !value.is_conj() &&
         !value.is_neg() && !value._is_zerotensor() && !value.is_quantized();
}

}  // namespace

// ---- patterns -----------------------------------------------------------------------------------

/// Codes elements as the numbers of the patterns that they are.
template <class Element>
class PatternPacker {
 public:
  PatternPacker(const Element* from, std::size_t count) : from_(from), count_(count) {}

  std::optional<PackedValue> pack(const at::Tensor& value) {
    // Most of what does not fit shows it here, before anything is allocated.
    if (!learn(from_, std::min<std::size_t>(count_, 1024), kMostPatterns)) return std::nullopt;
    for (const int bits : {1, 2, 4}) {
      const bool saves_half = 2 * static_cast<std::size_t>(bits) <= 8 * sizeof(Element);
      if (!saves_half || known_count_ > kMostPatterns) break;
      if (known_count_ > std::size_t{1} << bits) continue;
      PackedValue packed(value);
      packed.bits_ = bits;
      packed.packed_ = new_bytes((count_ * static_cast<std::size_t>(bits) + 7) / 8);
      if (!code_all(bits, packed.packed_.data_ptr<std::uint8_t>())) continue;
      packed.known_.resize(sizeof(Element) * kMostPatterns);
      std::memcpy(packed.known_.data(), known_.data(), packed.known_.size());
      return packed;
    }
    return std::nullopt;
  }

 private:
  // Adds the patterns of these elements to the known ones; false once there are more than `most`.
  bool learn(const Element* elements, std::size_t count, std::size_t most) {
    for (std::size_t i = 0; i < count; ++i) {
      const auto end = known_.begin() + static_cast<std::ptrdiff_t>(known_count_);
      if (std::find(known_.begin(), end, elements[i]) != end) continue;
      if (known_count_ <= kMostPatterns) known_[known_count_++] = elements[i];
      if (known_count_ > most) return false;
    }
    return true;
  }

  bool code_all(int bits, std::uint8_t* to) {
    alignas(64) std::array<std::uint8_t, kChunk> codes{};
    for (std::size_t at = 0; at < count_; at += kChunk) {
      const std::size_t count = std::min(kChunk, count_ - at);
      if (!code(from_ + at, count, codes.data())) {
        if (!learn(from_ + at, count, std::size_t{1} << bits)) return false;
        code(from_ + at, count, codes.data());
      }
      const std::size_t whole = (count + 7) / 8 * 8;
      std::fill(codes.begin() + static_cast<std::ptrdiff_t>(count),
                codes.begin() + static_cast<std::ptrdiff_t>(whole), std::uint8_t{0});
      with_code_bits(bits, [&](auto constant) {
        constexpr int code_bits = decltype(constant)::value;
        alignas(64) std::array<std::uint8_t, kChunk * code_bits / 8> joined{};
        join_codes<code_bits>(codes.data(), whole, joined.data());
        std::memcpy(to + at * code_bits / 8, joined.data(), (count * code_bits + 7) / 8);
      });
    }
    return true;
  }

  // False if an element is none of the known patterns.
  bool code(const Element* from, std::size_t count, std::uint8_t* codes) const {
    constexpr std::uint8_t is_known = 0x80;
    std::fill(codes, codes + count, std::uint8_t{0});
    for (std::size_t k = 0; k < known_count_; ++k) {
      const Element pattern = known_[k];
      const auto code = static_cast<std::uint8_t>(k | is_known);
      for (std::size_t i = 0; i < count; ++i) {
        codes[i] = static_cast<std::uint8_t>(codes[i] | (from[i] == pattern ? code : 0));
      }
    }
    std::uint8_t all = is_known;
    for (std::size_t i = 0; i < count; ++i) {
      all = static_cast<std::uint8_t>(all & codes[i]);
      codes[i] = static_cast<std::uint8_t>(codes[i] & ~is_known);
    }
    return all == is_known;
  }

  const Element* from_;
  std::size_t count_;
  std::array<Element, kMostPatterns + 1> known_{};  // one more: what was too many
  std::size_t known_count_ = 0;
};

template <int bits, class Element>
void decode(const std::uint8_t* codes, std::size_t count,
            const std::array<Element, kMostPatterns>& known, Element* to) {
  if constexpr (bits == 1) {
    // Without looking up, which vectors cannot.
    const Element first = known[0];
    const auto difference = static_cast<Element>(known[0] ^ known[1]);
    for (std::size_t i = 0; i < count; ++i) {
      const auto mask = static_cast<Element>(Element{0} - Element{codes[i]});
      to[i] = static_cast<Element>(first ^ (mask & difference));
    }
  } else {
    for (std::size_t i = 0; i < count; ++i) to[i] = known[codes[i]];
  }
}

template <class Element>
void PackedValue::unpack_patterns(Element* to, std::size_t count) const {
  std::array<Element, kMostPatterns> known{};
  std::memcpy(known.data(), known_.data(), sizeof(known));
  with_code_bits(bits_, [&](auto constant) {
    constexpr int code_bits = decltype(constant)::value;
    std::array<std::uint8_t, kChunk> codes{};
    for (std::size_t at = 0; at < count; at += kChunk) {
      const std::size_t chunk = std::min(kChunk, count - at);
      split_codes<code_bits>(packed_.data_ptr<std::uint8_t>() + at * code_bits / 8, chunk,
                             codes.data());
      decode<code_bits>(codes.data(), chunk, known, to + at);
    }
  });
}

// ---- ranges -------------------------------------------------------------------------------------

/// Codes signed numbers as their distances from the least of them. `Element` is the unsigned type of their size.
template <class Element>
class RangePacker {
 public:
  RangePacker(const Element* from, std::size_t count) : from_(from), count_(count) {}

  std::optional<PackedValue> pack(const at::Tensor& value) {
    if (!find_range()) return std::nullopt;
    PackedValue packed(value);
    packed.bits_ = range() <= 0xFF ? 8 : range() <= 0xFFFF ? 16 : 32;
    packed.packed_ = new_bytes(count_ * static_cast<std::size_t>(packed.bits_) / 8);
    packed.known_.resize(sizeof(Element));
    std::memcpy(packed.known_.data(), &least_, sizeof(Element));
    with_bits_of(static_cast<std::size_t>(packed.bits_) / 8, [&](auto narrow) {
      write(static_cast<decltype(narrow)*>(packed.packed_.data_ptr()));
    });
    return packed;
  }

 private:
  using Signed = std::make_signed_t<Element>;
  static constexpr auto kMostRange =
      static_cast<Element>((Element{1} << (4 * sizeof(Element))) - 1);  // half the bytes

  Element range() const {
    return static_cast<Element>(static_cast<Element>(most_) - static_cast<Element>(least_));
  }

  // False, soon, if the range needs more than half the bytes.
  bool find_range() {
    for (std::size_t at = 0; at < count_; at += kChunk) {
      const std::size_t end = std::min(count_, at + kChunk);
      for (std::size_t i = at; i < end; ++i) {
        const auto number = static_cast<Signed>(from_[i]);
        least_ = std::min(least_, number);
        most_ = std::max(most_, number);
      }
      if (range() > kMostRange) return false;
    }
    return true;
  }

  template <class Narrow>
  void write(Narrow* to) const {
    const auto least = static_cast<Element>(least_);
    for (std::size_t i = 0; i < count_; ++i) to[i] = static_cast<Narrow>(from_[i] - least);
  }

  const Element* from_;
  std::size_t count_;
  Signed least_ = std::numeric_limits<Signed>::max(), most_ = std::numeric_limits<Signed>::min();
};

template <class Element>
void PackedValue::unpack_range(Element* to, std::size_t count) const {
  Element least{};
  std::memcpy(&least, known_.data(), sizeof(least));
  with_bits_of(static_cast<std::size_t>(bits_) / 8, [&](auto narrow) {
    const auto* const from = static_cast<const decltype(narrow)*>(packed_.data_ptr());
    for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<Element>(from[i] + least);
  });
}

// ---- both ---------------------------------------------------------------------------------------

PackedValue::PackedValue(const at::Tensor& value)
    : dtype_(value.scalar_type()), sizes_(value.sizes().vec()), strides_(value.strides().vec()) {}

std::optional<PackedValue> pack(const at::Tensor& value) {
  if (!can_be_packed(value)) return std::nullopt;
  const auto count = static_cast<std::size_t>(value.numel());
  return with_bits_of(value.itemsize(), [&](auto bits) -> std::optional<PackedValue> {
    using Element = decltype(bits);
    const void* const bytes = torch_bridge::bytes_to_read(value);
    const auto* const from = static_cast<const Element*>(bytes);
    if (auto packed = PatternPacker<Element>(from, count).pack(value)) return packed;
    if constexpr (sizeof(Element) > 1 && sizeof(Element) <= 8) {
      if (c10::isIntegralType(value.scalar_type(), /*includeBool=*/false)) {
        return RangePacker<Element>(from, count).pack(value);
      }
    }
    return std::nullopt;
  });
}

at::Tensor PackedValue::unpack() const {
  const torch_bridge::InterceptorPause pause;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  at::Tensor value = at::empty_strided(sizes_, strides_, at::TensorOptions(dtype_));
  with_bits_of(value.itemsize(), [&](auto bits) {
    using Element = decltype(bits);
    auto* const to = static_cast<Element*>(value.data_ptr());
    const auto count = static_cast<std::size_t>(value.numel());
    if (bits_ < 8) {
      unpack_patterns(to, count);
    } else if constexpr (sizeof(Element) <= 8) {
      unpack_range(to, count);
    }
  });
  return value;
}

}  // namespace remat::tape

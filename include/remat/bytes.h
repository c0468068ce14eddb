// A number of bytes as a type of its own. Needs no LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace remat {

/// A number of bytes. Ordered and arithmetic, never implicitly made from an integer.
///
/// Units:   bytes; negative values are allowed as differences. Arithmetic is that of std::int64_t:
///          keeping it within 63 bits is up to the caller.
/// Example: `Bytes::parse("1.5GiB") / 2 < Bytes(1 << 30)`
class Bytes {
 public:
  constexpr Bytes() = default;
  constexpr explicit Bytes(std::int64_t count) : count_(count) {}

  /// Reads a size as people write it: a non-negative decimal number and a unit.
  ///
  /// Units:  none or `B` (bytes); `KiB MiB GiB TiB` (powers of 1024); `kB MB GB TB` (powers of
  ///         1000). Spelled exactly so: no spaces, signs or exponents, digits on both sides of a
  ///         point. A fraction needs a unit larger than a byte; the exact value, however many digits
  ///         it has, is rounded down to whole bytes. Leading zeros mean nothing.
  /// Errors: InvalidArgument, naming `text` and the accepted forms, if it is anything else or does
  ///         not fit in 63 bits.
  static Bytes parse(std::string_view text);

  constexpr std::int64_t count() const { return count_; }

  /// For people: the nearest value with three significant digits (four from 1000 to 1023) and a
  /// binary unit up to TiB, as in "1.50 GiB", "512 B", "-1023 KiB".
  std::string to_string() const;

  constexpr Bytes& operator+=(Bytes other) {
    count_ += other.count_;
    return *this;
  }
  constexpr Bytes& operator-=(Bytes other) {
    count_ -= other.count_;
    return *this;
  }

  friend constexpr Bytes operator+(Bytes a, Bytes b) { return Bytes(a.count_ + b.count_); }
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return Bytes(a.count_ - b.count_); }
  friend constexpr Bytes operator-(Bytes a) { return Bytes(-a.count_); }
  friend constexpr Bytes operator*(Bytes a, std::int64_t k) { return Bytes(a.count_ * k); }
  friend constexpr Bytes operator*(std::int64_t k, Bytes a) { return a * k; }
  friend constexpr Bytes operator/(Bytes a, std::int64_t k) { return Bytes(a.count_ / k); }

  friend constexpr bool operator==(Bytes a, Bytes b) { return a.count_ == b.count_; }
  friend constexpr bool operator!=(Bytes a, Bytes b) { return a.count_ != b.count_; }
  friend constexpr bool operator<(Bytes a, Bytes b) { return a.count_ < b.count_; }
  friend constexpr bool operator<=(Bytes a, Bytes b) { return a.count_ <= b.count_; }
  friend constexpr bool operator>(Bytes a, Bytes b) { return a.count_ > b.count_; }
  friend constexpr bool operator>=(Bytes a, Bytes b) { return a.count_ >= b.count_; }

 private:
  std::int64_t count_ = 0;
};

}  // namespace remat

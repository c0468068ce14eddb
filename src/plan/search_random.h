// Random numbers that are the same on every machine: no libm, no std distributions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace remat::plan {

/// Source: Marsaglia 2003, "Xorshift RNGs" (shifts 13, 7, 17), whitened by a multiplication (Vigna 2016,
///         arXiv:1402.6246).
class SearchRandom {
 public:
  explicit SearchRandom(std::uint64_t seed);

  /// A number in [0, bound).
  std::size_t below(std::size_t bound) {
    return static_cast<std::size_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

  /// True with probability `percent` in a hundred.
  bool chance(unsigned percent) { return below(100) < percent; }

  /// Exponentially distributed with mean 1, to a resolution of 1/4096 in probability.
  double exponential() { return exponentials_[below(kResolution)]; }

 private:
  static constexpr std::size_t kResolution = 4096;

  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ * 0x2545F4914F6CDD1DULL;
  }

  std::uint64_t state_;
  std::array<double, kResolution> exponentials_{};
};

}  // namespace remat::plan

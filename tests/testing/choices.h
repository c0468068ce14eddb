// Where generated test input gets its choices: from a seed, or from the bytes of a fuzzer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

namespace remat::testing {

class Choices {
 public:
  Choices() = default;
  virtual ~Choices() = default;
  Choices(const Choices&) = delete;
  Choices& operator=(const Choices&) = delete;

  /// From 0 to n - 1.
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(n));
  }
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  bool one_in(std::int64_t n) { return below(n) == 0; }

 private:
  virtual std::uint64_t next() = 0;
};

/// The same choices for the same seed, on every machine.
class RandomChoices : public Choices {
 public:
  explicit RandomChoices(std::uint64_t seed) : generator_(seed) {}

 private:
  std::uint64_t next() override { return generator_(); }

  std::mt19937_64 generator_;
};

/// Two bytes for each choice; 0 once they are used up.
class BytesAsChoices : public Choices {
 public:
  BytesAsChoices(const std::uint8_t* bytes, std::size_t size) : bytes_(bytes), left_(size) {}

 private:
  std::uint64_t next() override {
    if (left_ < 2) return 0;
    const std::uint64_t choice = bytes_[0] * std::uint64_t{256} + bytes_[1];
    bytes_ += 2;
    left_ -= 2;
    return choice;
  }

  const std::uint8_t* bytes_;
  std::size_t left_;
};

}  // namespace remat::testing

// Moments of a step, for contenders that run as processes of their own.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

namespace remat::benchmarks {

/// Time that has passed: on the wall, and of processor time in all threads, which a busy machine disturbs
/// less.
struct Elapsed {
  std::int64_t wall_ns = 0;
  std::int64_t processor_ns = 0;

  Elapsed& operator+=(const Elapsed& other) {
    wall_ns += other.wall_ns;
    processor_ns += other.processor_ns;
    return *this;
  }
};

struct Instant {
  std::chrono::steady_clock::time_point wall = std::chrono::steady_clock::now();
  std::clock_t processor = std::clock();

  friend Elapsed operator-(const Instant& end, const Instant& begin) {
    return {std::chrono::nanoseconds(end.wall - begin.wall).count(),
            (end.processor - begin.processor) * (1'000'000'000 / CLOCKS_PER_SEC)};
  }
};

}  // namespace remat::benchmarks

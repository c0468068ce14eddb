// The learning rate of each step.
#pragma once

#include <cstdint>

namespace remat::cli {

/// Linear warm-up, then a cosine from the peak down to the lowest rate, which stays.
///
/// Source: Loshchilov and Hutter 2017, "SGDR", arXiv:1608.03983, equation 5, without restarts.
struct LearningRate {
  double peak = 3e-4;
  double lowest = 3e-4;          ///< equal to `peak`: no decay
  std::int64_t warmup = 0;       ///< steps until the peak is reached
  std::int64_t decay_steps = 0;  ///< steps, counted from the first, until `lowest` is reached

  /// Of step `step`, counted from 0. Step w of a warm-up of W has (w + 1) / W of the peak: no step is
  /// at rate 0.
  double at(std::int64_t step) const;
};

}  // namespace remat::cli

#include "cli/learning_rate.h"

#include <cmath>

namespace remat::cli {

double LearningRate::at(std::int64_t step) const {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (lowest == peak) return peak;
  if (step >= decay_steps) return lowest;
  const double done =
      static_cast<double>(step - warmup) / static_cast<double>(decay_steps - warmup);
  const double pi = std::acos(-1.0);
  return lowest + (peak - lowest) * 0.5 * (1.0 + std::cos(pi * done));
}

}  // namespace remat::cli

// Loss scaling for float16, which LibTorch's C++ side lacks.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace remat::cli {

/// Multiplies losses, so that small gradients do not become zero in float16, and finds the scale that is
/// as large as can be.
///
///     (loss * scaler.scale()).backward();
///     const bool finite = scaler.unscale(gradients);
///     if (finite) optimizer.step();
///     scaler.update(finite);
///
/// Source: torch.cuda.amp.GradScaler, its documentation and defaults; Micikevicius et al. 2018,
///         "Mixed Precision Training", arXiv:1710.03740, section 3.2.
class LossScaler {
 public:
  static constexpr double kInitialScale = 65536.0;
  static constexpr double kGrowth = 2.0;
  static constexpr double kBackoff = 0.5;
  static constexpr std::int64_t kGrowthInterval = 2000;

  double scale() const { return scale_; }
  /// Steps without an overflow since the scale last changed.
  std::int64_t good_steps() const { return good_steps_; }

  /// Divides `gradients` by the scale in place. True if all of them were finite.
  bool unscale(const std::vector<at::Tensor>& gradients) const;

  /// After each step. `finite`: as unscale() returned it. Halves the scale after an overflow, doubles it
  /// after 2000 steps without.
  void update(bool finite);

  /// As a state that was saved says.
  void restore(double scale, std::int64_t good_steps);

 private:
  double scale_ = kInitialScale;
  std::int64_t good_steps_ = 0;
};

}  // namespace remat::cli

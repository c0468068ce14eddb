#include "cli/loss_scaler.h"

#include <cmath>
#include <limits>

#include <ATen/ops/isfinite.h>
#include <c10/core/GradMode.h>

namespace remat::cli {

bool LossScaler::unscale(const std::vector<at::Tensor>& gradients) const {
  const c10::AutoGradMode no_grad(false);
  bool finite = true;
  for (const auto& gradient : gradients) {
    finite = finite && at::isfinite(gradient).all().item<bool>();
    gradient.mul_(1.0 / scale_);
  }
  return finite;
}

void LossScaler::update(bool finite) {
  if (!finite) {
    scale_ *= kBackoff;
    good_steps_ = 0;
    return;
  }
  if (++good_steps_ < kGrowthInterval) return;
  // As PyTorch's update: a scale that float cannot hold is no scale.
  const double grown = scale_ * kGrowth;
  if (grown <= static_cast<double>(std::numeric_limits<float>::max())) scale_ = grown;
  good_steps_ = 0;
}

void LossScaler::restore(double scale, std::int64_t good_steps) {
  scale_ = scale;
  good_steps_ = good_steps;
}

}  // namespace remat::cli

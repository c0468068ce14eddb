// What a training computes in and where: --dtype and --device.
#pragma once

#include <array>
#include <optional>
#include <string>

#include <c10/core/Device.h>

#include "models/decoder_config.h"
#include "torch_bridge/thread_state.h"

namespace remat::cli {

/// What matrices are multiplied in. Parameters, gradients and the optimizer's state are float32 in each.
enum class Precision { kF32, kBf16, kFp16 };
inline constexpr std::array<models::Named<Precision>, 3> kPrecisions = {
    {{"f32", Precision::kF32}, {"bf16", Precision::kBf16}, {"fp16", Precision::kFp16}}};

/// The device that `--device TEXT` means: cpu, cuda or cuda:N. Whether there is one, check_device tells.
/// Errors: CLI::ValidationError that names the flag, the text and the accepted forms.
c10::Device parse_device(const std::string& text);

/// Errors: InvalidArgument that names the flag and says what to do if this machine or this LibTorch has
///         no such device, or cannot compute so on it.
void check_device(c10::Device device, Precision precision);

/// While it lives, this thread computes in `precision` on `device`. Backward is to come after it.
class PrecisionScope {
 public:
  PrecisionScope(c10::Device device, Precision precision);

 private:
  std::optional<torch_bridge::AutocastGuard> autocast_;
};

}  // namespace remat::cli

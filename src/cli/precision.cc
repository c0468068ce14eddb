#include "cli/precision.h"

#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <remat/error.h>

#include "base/check.h"
#include "base/decimal.h"
#include "base/text.h"

namespace remat::cli {
namespace {

constexpr std::string_view kCuda = "cuda";
constexpr std::int64_t kMaxDevices = 64;  // LibTorch's own limit of CUDA devices

// The CPU has float16 kernels in newer versions of LibTorch only.
bool multiplies_halves(c10::Device device) {
  const auto matrix = at::zeros({2, 2}, at::TensorOptions(device).dtype(at::kHalf));
  try {
    at::mm(matrix, matrix);
  } catch (const c10::Error&) {
    return false;
  }
  return true;
}

}  // namespace

c10::Device parse_device(const std::string& text) {
  if (text == "cpu") return c10::kCPU;
  if (text == kCuda) return {c10::kCUDA, 0};
  const std::string_view view = text;
  if (view.substr(0, kCuda.size() + 1) == "cuda:") {
    const auto index = parse_decimal(view.substr(kCuda.size() + 1));
    if (index && *index < kMaxDevices) return {c10::kCUDA, static_cast<c10::DeviceIndex>(*index)};
  }
  throw CLI::ValidationError("--device",
                             fmt::format("must be cpu, cuda or cuda:N, not {}", quote(text)));
}

void check_device(c10::Device device, Precision precision) {
  if (device.is_cuda()) {
    const auto count = static_cast<std::int64_t>(torch::cuda::device_count());
    REMAT_CHECK(count > 0, InvalidArgument,
                "--device {}: LibTorch {} finds no CUDA device here (or was built without CUDA); "
                "give --device cpu, or set CMAKE_PREFIX_PATH to a LibTorch with CUDA and build again",
                device.str(), TORCH_VERSION);
    REMAT_CHECK(device.index() < count, InvalidArgument,
                "--device {}: there are {} CUDA devices here, counted from 0; give --device cuda:{}",
                device.str(), count, count - 1);
  }
  // CUDA always does, and a product there would leave cuBLAS's workspace, which no tracker has seen.
  REMAT_CHECK(precision != Precision::kFp16 || device.is_cuda() || multiplies_halves(device), InvalidArgument,
              "--dtype fp16: LibTorch {} does not multiply float16 matrices on {}; give --dtype "
              "bf16, or --device cuda",
              TORCH_VERSION, device.str());
}

PrecisionScope::PrecisionScope(c10::Device device, Precision precision) {
  if (precision == Precision::kF32) return;
  autocast_.emplace(device.type(), precision == Precision::kBf16 ? at::kBFloat16 : at::kHalf);
}

}  // namespace remat::cli

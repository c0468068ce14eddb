// --device and --dtype of benchmarks that are processes of their own.
#pragma once

#include <stdexcept>
#include <string>

#include <ATen/core/TensorBase.h>
#include <c10/core/TensorOptions.h>

namespace remat::benchmarks {

/// Takes `argument` and the one after it if it is one of the two flags. The device is cpu or cuda, the first one;
/// the dtype f32 or bf16.
/// Errors: std::invalid_argument for another device or dtype.
inline bool read_kind(at::TensorOptions& kind, const std::string& argument, const char* value) {
  const std::string text = value != nullptr ? value : "";
  if (argument == "--device" && (text == "cpu" || text == "cuda")) {
    kind = kind.device(text == "cpu" ? c10::Device(c10::kCPU) : c10::Device(c10::kCUDA, 0));
  } else if (argument == "--dtype" && (text == "f32" || text == "bf16")) {
    kind = kind.dtype(text == "f32" ? at::kFloat : at::kBFloat16);
  } else if (argument == "--device" || argument == "--dtype") {
    throw std::invalid_argument(argument + " cannot be '" + text + "'");
  } else {
    return false;
  }
  return true;
}

}  // namespace remat::benchmarks

// What a region remembers of a tensor that it let go: enough to notice another one in its place.
#pragma once

#include <string>

#include <ATen/core/DimVector.h>
#include <ATen/core/Tensor.h>

namespace remat {

struct SavedMetadata {
  at::DimVector sizes;
  at::DimVector strides;  // empty for tensors without strides (sparse, opaque)
  c10::ScalarType dtype;
  c10::Device device;
  bool requires_grad;

  static SavedMetadata of(const at::Tensor& tensor);

  /// As messages show it: "{shape=(2, 3), strides=(3, 1), dtype=Float, device=cpu, requires_grad=0}".
  std::string to_string() const;

  friend bool operator==(const SavedMetadata& a, const SavedMetadata& b) {
    return a.sizes == b.sizes && a.strides == b.strides && a.dtype == b.dtype &&
           a.device == b.device && a.requires_grad == b.requires_grad;
  }
  friend bool operator!=(const SavedMetadata& a, const SavedMetadata& b) { return !(a == b); }
};

/// "Float tensor of shape (2, 3) on cpu": how messages name a tensor.
std::string describe(const at::Tensor& tensor);

}  // namespace remat

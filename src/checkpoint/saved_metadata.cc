#include "checkpoint/saved_metadata.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace remat {
namespace {

std::string in_parentheses(c10::IntArrayRef values) {
  return fmt::format("({})", fmt::join(values.begin(), values.end(), ", "));
}

}  // namespace

SavedMetadata SavedMetadata::of(const at::Tensor& tensor) {
  const bool strided = tensor.layout() == c10::kStrided;
  return {at::DimVector(tensor.sizes()),
          strided ? at::DimVector(tensor.strides()) : at::DimVector(), tensor.scalar_type(),
          tensor.device(), tensor.requires_grad()};
}

std::string SavedMetadata::to_string() const {
  return fmt::format("{{shape={}, strides={}, dtype={}, device={}, requires_grad={}}}",
                     in_parentheses(sizes), in_parentheses(strides), c10::toString(dtype),
                     device.str(), requires_grad);
}

std::string describe(const at::Tensor& tensor) {
  return fmt::format("{} tensor of shape {} on {}", c10::toString(tensor.scalar_type()),
                     in_parentheses(tensor.sizes()), tensor.device().str());
}

}  // namespace remat

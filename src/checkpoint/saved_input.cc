#include "checkpoint/saved_input.h"

#include <fmt/format.h>

#include <remat/error.h>

#include "checkpoint/saved_metadata.h"
#include "torch_bridge/engine_hooks.h"

namespace remat {

SavedInput::SavedInput(const at::Tensor& tensor) {
  if (!tensor.defined()) {
    return;
  }
  original_ = torch_bridge::WeakTensor(tensor);
  version_ = torch_bridge::version_of(tensor);
  required_grad_ = tensor.requires_grad();
  through_hooks_ = !tensor.is_inference() && torch_bridge::hooks_are_active();
  if (through_hooks_) {
    saved_ = torch_bridge::HookedTensor(tensor);
  } else {
    tensor_ = tensor;
  }
}

void SavedInput::forget_history_if_written(const Preimages& written_by_region) {
  auto* storage = torch_bridge::storage_of(tensor_);
  if (storage != nullptr && written_by_region.contains(storage) && tensor_.grad_fn() != nullptr) {
    tensor_ = torch_bridge::detached_alias(tensor_).requires_grad_(required_grad_);
  }
}

at::Tensor SavedInput::unpack(const Preimages& written_by_region, const std::string& region,
                              std::size_t position) const {
  const at::Tensor tensor = through_hooks_ ? saved_.unpack() : tensor_;
  if (changed(tensor, written_by_region)) {
    throw CheckpointError(fmt::format(
        "{}: cannot recompute: input {}, a {}, has been modified by an inplace operation since the "
        "forward. Change it after backward, or give the region a copy (clone()).",
        region, position, describe(tensor)));
  }
  return tensor;
}

/// Through hooks only an input that is still the caller's own tensor can have changed with it.
bool SavedInput::changed(const at::Tensor& unpacked, const Preimages& written_by_region) const {
  const at::Tensor original = original_.lock();
  auto* storage = torch_bridge::storage_of(original);
  if (!original.defined() || (storage != nullptr && written_by_region.contains(storage))) {
    return false;
  }
  const bool same_data = !through_hooks_ || torch_bridge::storage_of(unpacked) == storage;
  return same_data && torch_bridge::version_of(original) != version_;
}

}  // namespace remat

// Saved-tensor hooks: decide what autograd keeps for the backward pass.
#pragma once

#include <any>
#include <functional>
#include <memory>

#include <ATen/core/Tensor.h>

namespace remat {

/// While it lives, every tensor that autograd saves on this thread goes through `pack`, and comes back
/// through `unpack` when backward needs it: torch.autograd.graph.saved_tensors_hooks for C++.
///
/// Shapes:   `unpack` must return a tensor of the packed one's sizes, dtype and device.
/// Nesting:  as in Python, only the innermost guard (or region) of the thread applies to a tensor.
///           Under NoGradGuard nothing is saved and no hook is called.
/// Errors:   what `pack` throws leaves through the operator that was saving; what `unpack` throws
///           leaves through backward(), type intact. `pack` must not change its argument in place.
///           LibTorch's check that a saved tensor was not changed in place is off under hooks
///           (semantics.md, Rule 14): a `pack` that keeps the tensor rather than a copy sees later
///           changes.
/// Threads:  applies to the thread that made it. `unpack` runs on whichever thread runs backward, and
///           may run on several at once.
/// Lifetime: destroy in the reverse order of construction (a scope does). The functions, and what
///           `pack` returned, live until the graph has released the tensor. Returning the packed
///           tensor itself does not keep the graph alive.
/// Cost:     about 0.6 us for each saved tensor, plus the functions.
/// Example:
///   remat::SavedTensorHooks guard(
///       [](const at::Tensor& t) -> std::any { return t.to(at::kBFloat16); },
///       [](const std::any& a) { return std::any_cast<at::Tensor>(a).to(at::kFloat); });
class SavedTensorHooks {
 public:
  using Pack = std::function<std::any(const at::Tensor&)>;
  using Unpack = std::function<at::Tensor(const std::any&)>;

  SavedTensorHooks(Pack pack, Unpack unpack);
  ~SavedTensorHooks();

  SavedTensorHooks(const SavedTensorHooks&) = delete;
  SavedTensorHooks& operator=(const SavedTensorHooks&) = delete;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace remat

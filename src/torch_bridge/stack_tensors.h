// The tensors of an operator's arguments and results, wherever they stand on the stack.
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130.
#pragma once

#include <optional>
#include <utility>

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

namespace remat::torch_bridge {

/// Calls `visit(const at::Tensor&)` for every tensor of a stack entry: itself, or those of its list.
template <class Visit>
void for_each_tensor(const c10::IValue& value, Visit&& visit) {
  if (value.isTensor()) {
    visit(value.toTensor());
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) {
      for_each_tensor(element, visit);
    }
  }
}

/// Puts `replacement(tensor)` in the place of every tensor for which that is defined. A list that
/// changes is copied first: others may hold it.
template <class Replacement>
void replace_tensors(c10::IValue& value, Replacement&& replacement) {
  if (value.isTensor()) {
    at::Tensor other = replacement(value.toTensor());
    if (other.defined()) {
      value = std::move(other);
    }
  } else if (value.isList()) {
    const c10::ArrayRef<c10::IValue> elements = value.toListRef();
    std::optional<c10::List<c10::IValue>> changed;
    for (std::size_t i = 0; i < elements.size(); ++i) {
      at::Tensor other =
          elements[i].isTensor() ? replacement(elements[i].toTensor()) : at::Tensor();
      if (other.defined()) {
        if (!changed) changed = value.toList().copy();
        changed->set(i, std::move(other));
      }
    }
    if (changed) {
      value = *std::move(changed);
    }
  }
}

}  // namespace remat::torch_bridge

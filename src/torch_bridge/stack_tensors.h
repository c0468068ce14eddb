// The tensors of an operator's arguments and results, wherever they stand on the stack.
// Tried on LibTorch 1.13.1 and 2.6.0.
#pragma once

#include <algorithm>

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

/// Whether one of a list's elements is a tensor; most lists are of sizes.
inline bool has_tensor(c10::ArrayRef<c10::IValue> list) {
  return std::any_of(list.begin(), list.end(),
                     [](const auto& element) { return element.isTensor(); });
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
  } else if (value.isList() && has_tensor(value.toListRef())) {
    c10::List<c10::IValue> list = value.toList();
    bool copied = false;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const c10::IValue element = list.get(i);
      at::Tensor other = element.isTensor() ? replacement(element.toTensor()) : at::Tensor();
      if (other.defined()) {
        list = copied ? list : list.copy();
        copied = true;
        list.set(i, std::move(other));
      }
    }
    if (copied) {
      value = std::move(list);
    }
  }
}

}  // namespace remat::torch_bridge

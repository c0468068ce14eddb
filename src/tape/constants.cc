#include "tape/constants.h"

#include <cstring>

#include "torch_bridge/stack_tensors.h"

namespace remat::tape {
namespace {

bool has_same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof(double)) == 0; }

bool has_tensors(const c10::IValue& list) {
  bool any = false;
  torch_bridge::for_each_tensor(list, [&](const at::Tensor&) { any = true; });
  return any;
}

}  // namespace

c10::IValue without_tensors(const c10::IValue& argument) {
  if (argument.isTensor()) return argument.toTensor().defined() ? c10::IValue() : argument;
  if (!argument.isList() || !has_tensors(argument)) return argument;
  c10::List<c10::IValue> list = argument.toList().copy();
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list.get(i).isTensor()) list.set(i, at::Tensor());
  }
  return list;
}

bool is_constant(const c10::IValue& constant, const c10::IValue& argument) {
  if (argument.isTensor()) return constant.isNone() && argument.toTensor().defined();
  if (argument.isNone()) return constant.isNone();
  if (argument.isInt()) return constant.isInt() && constant.toInt() == argument.toInt();
  if (argument.isDouble()) {
    return constant.isDouble() && has_same_bits(constant.toDouble(), argument.toDouble());
  }
  if (argument.isBool()) return constant.isBool() && constant.toBool() == argument.toBool();
  return false;
}

bool refers_to_others(const c10::IValue& constant) {
  return constant.isPtrType() && !constant.isString();
}

}  // namespace remat::tape

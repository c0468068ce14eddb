// Which operators draw random numbers, and from where.
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130.
#pragma once

#include <cstdint>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/core/Device.h>
#include <c10/util/Optional.h>

namespace remat::torch_bridge {

/// How one operator draws random numbers.
struct OpDraws {
  std::int32_t generator = -1;  ///< index of the argument that is its generator; -1: has none
  std::int32_t device = -1;  ///< index of the argument that says where a factory's result is made
  bool tagged = false;       ///< LibTorch says that it draws
  bool composite = false;    ///< made of other operators that are seen by themselves
  /// It has no generator argument and may draw from the default generator in code that no operator shows:
  /// every operator that is not LibTorch's. Those of LibTorch that draw on the CPU are made of ones that
  /// have the argument.
  bool may_draw_unseen = false;

  bool any() const { return generator >= 0 || tagged; }
};

/// Cost: a hash look-up; the first call for an operator walks its schema. Safe on any thread.
const OpDraws& draws_of(const c10::OperatorHandle& op);

/// The device whose generator a call draws from if none is given: that of its first tensor or of its
/// device argument, otherwise the CPU.
c10::Device device_of_draws(const OpDraws& draws, c10::ArrayRef<c10::IValue> arguments);

}  // namespace remat::torch_bridge

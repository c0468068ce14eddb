// An operator run again: below autograd, in the gradient mode of its first run, with the random numbers
// of its first run.
// Tried on LibTorch 1.13.1 and 2.11.0+cu130.
#pragma once

#include <optional>

#include <ATen/core/Generator.h>
#include <ATen/core/stack.h>

#include "torch_bridge/draw_state.h"
#include "torch_bridge/op_traits.h"

namespace remat::torch_bridge {

/// The generator that a call of `traits` on these arguments draws from: its argument, else the default one of the
/// device that it works on. Undefined if it draws nothing, or from one that cannot be put back.
at::Generator generator_of_call(const OpTraits& traits, c10::ArrayRef<c10::IValue> arguments);

/// Puts a tensor into an argument, or into its list there.
void put_tensor(c10::IValue& place, std::int32_t element, at::Tensor tensor);

/// What an operator's bits depend on beside its arguments.
struct CallState {
  bool grad_mode = true;  ///< some kernels ask (tape.md, F10)
  int threads = 1;        ///< inside operators: decides the order of sums

  static CallState current();
  bool operator==(const CallState& other) const {
    return grad_mode == other.grad_mode && threads == other.threads;
  }
};

/// Calls `traits` on `stack`, which holds its arguments and gets its results, as the first call ran. If
/// `draws_from` is given, it draws from there. A generator that others see, the default one, is touched only
/// for operators that take none as an argument, and put back: what another thread draws from it meanwhile is
/// drawn again later. What is drawn on a device is ordered by the stream, like everything there.
/// Autocast is off: the casts of the first run are operators of their own.
void call_again(const OpTraits& traits, torch::jit::Stack& stack, const CallState& state,
                const DrawState* draws_from);

}  // namespace remat::torch_bridge

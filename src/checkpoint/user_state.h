// State of the user's own around a recomputation (Rule 16 of docs/design/semantics.md).
#pragma once

#include <any>

#include <remat/checkpoint.h>

namespace remat {

/// Runs `work` with the user's state as `at_forward` has it, then puts back what was there, also when
/// `work` throws.
template <class Work>
void with_user_state(const StateCallbacks& state, const std::any& at_forward, Work&& work) {
  if (!state.save) {
    work();
    return;
  }
  const std::any outer = state.save();
  try {
    state.restore(at_forward);
    work();
  } catch (...) {
    state.restore(outer);
    throw;
  }
  state.restore(outer);
}

}  // namespace remat

// Which arguments an operator writes, declared in its schema or not.
// The table of undeclared writes was verified on LibTorch 1.13.1 and 2.6.0 (CPU operators; the others
// are by schema or by name).
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

namespace remat::torch_bridge {

/// What one operator writes, by argument index.
struct OpWrites {
  std::vector<std::uint32_t> declared;  ///< annotated in the schema: in-place, out=
  std::vector<std::uint32_t> hidden;    ///< written without annotation: BatchNorm statistics, noise
  std::int32_t hidden_only_if = -1;     ///< index of a bool argument that must be true for `hidden`

  bool any() const { return !declared.empty() || !hidden.empty(); }
};

/// Cost: a hash look-up; the first call for an operator walks its schema. Safe on any thread.
const OpWrites& writes_of(const c10::OperatorHandle& op);

/// The first result of the operator that contains bytes that nothing ever writes, as those after it may: they
/// differ from run to run though all that is read of them is the same. Workspaces of recurrent networks, seeds of
/// fused attention without dropout. As many as there are results if there is none.
std::int32_t first_result_with_unwritten_bytes(const c10::OperatorHandle& op);

/// Whether there is one.
inline bool leaves_bytes_unwritten(const c10::OperatorHandle& op) {
  return first_result_with_unwritten_bytes(op) <
         static_cast<std::int32_t>(op.schema().returns().size());
}

/// Calls `visit(argument index)` for every argument that this very call writes.
template <class Visit>
void for_each_written_argument(const OpWrites& writes, c10::ArrayRef<c10::IValue> arguments,
                               Visit&& visit) {
  for (auto index : writes.declared) {
    visit(index);
  }
  if (writes.hidden_only_if < 0 || arguments[writes.hidden_only_if].toBool()) {
    for (auto index : writes.hidden) {
      visit(index);
    }
  }
}

}  // namespace remat::torch_bridge

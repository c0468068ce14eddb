// One recomputation of a region: runs its function again and holds what that saves until backward
// asks for it.
#pragma once

#include <exception>
#include <vector>

#include "checkpoint/region_pass.h"
#include "torch_bridge/engine_hooks.h"
#include "torch_bridge/python_process.h"

namespace remat {

/// What the forward left behind, as far as a recomputation needs it.
struct ForwardRecord {
  const CheckpointOptions& options;
  const std::vector<SavedRecord>& saved;
  const Preimages& preimages;
  const OpLog& ops;
  torch_bridge::OpLevel level;
  bool finished;  ///< false when backward runs inside the region's own forward
};

/// The tensors that a recomputation saved, by their position in the forward's order.
class RecomputedTensors {
 public:
  void put(std::size_t index, at::Tensor alias);

  /// Hands the tensor out and lets go of it; undefined if it is not here (any more).
  /// Errors: CheckpointError if it was changed in place after it was saved.
  at::Tensor take(std::size_t index, const CheckpointOptions& region);

  void drop(std::size_t index);
  void clear() { slots_.clear(); }
  bool empty() const { return slots_.empty(); }

  /// Whether take() leaves the tensor here, until drop().
  void keep_what_is_taken(bool yes) { keeps_what_is_taken_ = yes; }

 private:
  struct Slot {
    at::Tensor tensor;
    std::int64_t version = 0;
  };
  Slot& slot(std::size_t index);

  std::vector<Slot> slots_;
  bool keeps_what_is_taken_ = false;
};

/// The pass itself. Outside tensors are read and written as private copies that start from what they
/// were before the forward (Rule 12).
class Recomputation final : public RegionPass, public torch_bridge::HookProvider {
 public:
  /// `wanted[i]`: whether backward can still ask for the i-th saved tensor.
  Recomputation(const ForwardRecord& forward, std::vector<bool> wanted, RecomputedTensors& into);

  /// Calls `function` under this pass and compares what it saves with the forward.
  /// Errors: what `function` throws; CheckpointError if the passes differ (Rule 9).
  template <class Function>
  void run(Function&& function);

  std::unique_ptr<torch::autograd::SavedVariableHooks> make_hooks() override;

 protected:
  void enter_op_above_autograd() override;
  void before(torch_bridge::OpCall& call) override;
  void proceed(torch_bridge::OpCall& call) override;

 private:
  class Hooks;
  class KernelGate;
  /// Thrown by operators once everything wanted has been saved. Not a std::exception, so that few
  /// handlers in the region catch it; those that do meet it again at the next operator.
  struct Stop {};
  /// The same where the function may run Python code, whose bindings translate this only.
  struct StopThroughPython final : std::exception {
    const char* what() const noexcept override { return "remat: everything needed is recomputed"; }
  };

  void keep(const at::Tensor& alias);
  void compare();
  bool has_all_wanted() const { return saved().size() >= needed_; }
  bool may_stop_before_kernel(const c10::OperatorHandle& op) const;
  [[noreturn]] void stop();

  void redirect_arguments(torch_bridge::OpCall& call);
  void protect_written(torch_bridge::OpCall& call);
  at::Tensor private_copy(c10::StorageImpl* storage);
  at::Tensor private_view(const at::Tensor& copy, const at::Tensor& outside);
  at::Tensor own(c10::StorageImpl* storage, at::Tensor copy);

  const ForwardRecord& forward_;
  std::vector<bool> wanted_;
  std::size_t needed_;  // position after the last wanted one
  RecomputedTensors& into_;
  bool stopped_ = false;
  struct PrivateView {
    at::Tensor outside;  // held: the key stays this tensor's own
    at::Tensor view;
  };
  ska::flat_hash_map<c10::StorageImpl*, at::Tensor> private_copies_;
  ska::flat_hash_map<c10::TensorImpl*, PrivateView> private_views_;
};

template <class Function>
void Recomputation::run(Function&& function) {
  try {
    torch_bridge::HookScope hooks(*this);
    torch_bridge::InterceptorScope operators(level(), *this);
    function();
  } catch (...) {
    if (!stopped_) {
      throw;
    }
    torch_bridge::clear_python_error();
  }
  finish();
  compare();
}

}  // namespace remat

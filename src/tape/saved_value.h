// What autograd keeps instead of a saved tensor.
#pragma once

#include <memory>

#include <c10/core/TensorImpl.h>

#include "tape/records.h"
#include "torch_bridge/engine_hooks.h"

namespace remat::tape {

class Tape;

/// Stands for a view of a value. Asks the tape for it when autograd does.
class SavedValue final : public torch::autograd::SavedVariableHooks {
 public:
  explicit SavedValue(std::shared_ptr<Tape> tape) : tape_(std::move(tape)) {}
  ~SavedValue() override;

  void call_pack_hook(const at::Tensor& tensor) override;
  at::Tensor call_unpack_hook() override;

 private:
  void check_version() const;

  std::shared_ptr<Tape> tape_;
  SlotIndex slot_ = SlotIndex::kNone;
  ViewIndex view_ = ViewIndex::kNone;
  at::Tensor itself_;  // where it has no plain storage
  // LibTorch's own check is off for tensors with hooks. (trap 3)
  c10::VariableVersion counter_;
  std::uint32_t version_ = 0;
};

}  // namespace remat::tape

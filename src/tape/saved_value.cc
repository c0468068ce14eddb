#include "tape/saved_value.h"

#include <c10/util/Exception.h>

#include "tape/tape.h"
#include "torch_bridge/op_interceptor.h"
#include "torch_bridge/tensor_alias.h"

namespace remat::tape {

SavedValue::~SavedValue() {
  if (slot_ != SlotIndex::kNone) tape_->hook_died(slot_);
}

void SavedValue::call_pack_hook(const at::Tensor& tensor) {
  const torch_bridge::InterceptorPause pause;
  if (!tensor.is_inference()) {
    counter_ = tensor.unsafeGetTensorImpl()->version_counter();
    version_ = counter_.current_version();
  }
  if (torch_bridge::is_plain(tensor)) {
    const auto saved = tape_->save(tensor);
    slot_ = saved.slot;
    view_ = saved.view;
  } else {
    itself_ = torch_bridge::detached_alias(tensor);
  }
}

at::Tensor SavedValue::call_unpack_hook() {
  check_version();
  return slot_ == SlotIndex::kNone ? itself_ : tape_->bring_back({slot_, view_});
}

void SavedValue::check_version() const {
  if (!counter_.enabled()) return;
  const std::uint32_t now = counter_.current_version();
  TORCH_CHECK(now == version_,
              "one of the variables needed for gradient computation has been modified by an inplace "
              "operation: it is at version ",
              now, "; expected version ", version_,
              " instead. Change tensors after backward, or use a copy (clone()).");
}

}  // namespace remat::tape

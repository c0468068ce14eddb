#include "torch_bridge/allocation_gate.h"

#include "torch_bridge/carried_scopes.h"

namespace remat::torch_bridge {
namespace {

thread_local const GateScope* innermost = nullptr;
thread_local int pauses = 0;

}  // namespace

GateScope::GateScope(AllocationGate& gate, c10::Device device)
    : gate_(gate), device_(device), outer_(innermost) {
  innermost = this;
}

GateScope::~GateScope() { innermost = outer_; }

AllocationGate* GateScope::of(c10::Device device) {
  for (const GateScope* scope = innermost; scope != nullptr; scope = scope->outer_) {
    if (scope->device_ == device) return &scope->gate_;
  }
  // The threads of autograd that work for others are those of devices.
  const CarriedScopes* const carried = device.is_cpu() ? nullptr : CarriedScopes::of_this_thread();
  return carried != nullptr && carried->device == device ? carried->gate.get() : nullptr;
}

GatePause::GatePause() { ++pauses; }
GatePause::~GatePause() { --pauses; }

AllocationTurn::AllocationTurn(c10::Device device, std::int64_t bytes)
    : gate_(pauses > 0 ? nullptr : GateScope::of(device)) {
  if (gate_ == nullptr) return;
  const GatePause not_about_its_own;
  gate_->before_allocation(bytes);
}

AllocationTurn::~AllocationTurn() {
  if (gate_ != nullptr) gate_->after_allocation();
}

}  // namespace remat::torch_bridge

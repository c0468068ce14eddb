#include "torch_bridge/allocation_gate.h"

namespace remat::torch_bridge {
namespace {

thread_local AllocationGate* innermost = nullptr;
thread_local int pauses = 0;

}  // namespace

GateScope::GateScope(AllocationGate& gate) : outer_(innermost) { innermost = &gate; }
GateScope::~GateScope() { innermost = outer_; }

GatePause::GatePause() { ++pauses; }
GatePause::~GatePause() { --pauses; }

AllocationTurn::AllocationTurn(std::int64_t bytes) : gate_(pauses > 0 ? nullptr : innermost) {
  if (gate_ == nullptr) return;
  const GatePause not_about_its_own;
  gate_->before_allocation(bytes);
}

AllocationTurn::~AllocationTurn() {
  if (gate_ != nullptr) gate_->after_allocation();
}

}  // namespace remat::torch_bridge

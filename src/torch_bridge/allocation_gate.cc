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

void ask_allocation_gate(std::int64_t bytes) {
  AllocationGate* const gate = innermost;
  if (gate == nullptr || pauses > 0) return;
  const GatePause not_about_its_own;
  gate->before_allocation(bytes);
}

}  // namespace remat::torch_bridge

// Being asked before tensor memory of a device is allocated: where a budget is enforced.
#pragma once

#include <cstdint>

#include <c10/core/Device.h>

namespace remat::torch_bridge {

/// Asked before an allocation of tensor memory on a thread that has a GateScope for it.
///
/// Only allocators that are counted ask (device_ledger.h), outside their locks: what they allocate, raw_allocate()
/// and the growth of a storage included. Blocks of no bytes are not asked for, nor is memory that LibTorch takes
/// elsewhere: the scratch memory of oneDNN and BLAS, storages that older allocators grow, and what a kernel
/// allocates on the other threads of a parallel region.
class AllocationGate {
 public:
  virtual ~AllocationGate() = default;

  /// `bytes` as LibTorch asks for them, at least 1. May release tensors, and allocate some: it is not
  /// asked about those.
  ///
  /// May throw to refuse, a std::exception: then nothing is allocated or counted, and what it threw comes out
  /// of the operator, or of backward(). LibTorch then leaves what it leaves when memory runs out: a
  /// tensor that resize_() or out= was to make larger says that it is although its storage is not; gradients
  /// on their way stay in the engine's queue of this thread until its next backward.
  virtual void before_allocation(std::int64_t bytes) = 0;

  /// What it let pass has been allocated and counted, or could not be.
  virtual void after_allocation() noexcept {}
};

/// While it lives, `gate` is asked on this thread for memory of `device`; of nested scopes for a device only the
/// innermost. Scopes end in reverse order.
class GateScope {
 public:
  explicit GateScope(AllocationGate& gate, c10::Device device = c10::kCPU);
  ~GateScope();
  GateScope(const GateScope&) = delete;
  GateScope& operator=(const GateScope&) = delete;

 private:
  friend class AllocationTurn;
  /// This thread's gate for `device`, or that of the thread that it works for; nullptr if there is none.
  static AllocationGate* of(c10::Device device);

  AllocationGate& gate_;
  const c10::Device device_;
  const GateScope* outer_;
};

/// While it lives, no gate is asked on this thread, not even one whose scope begins meanwhile.
class GatePause {
 public:
  GatePause();
  ~GatePause();
  GatePause(const GatePause&) = delete;
  GatePause& operator=(const GatePause&) = delete;
};

/// For allocators, around an allocation: asks this thread's gate, if it has one, and tells it at the end.
/// Cost: without one, a read of a thread-local.
class AllocationTurn {
 public:
  AllocationTurn(c10::Device device, std::int64_t bytes);
  ~AllocationTurn();
  AllocationTurn(const AllocationTurn&) = delete;
  AllocationTurn& operator=(const AllocationTurn&) = delete;

 private:
  AllocationGate* gate_;
};

}  // namespace remat::torch_bridge

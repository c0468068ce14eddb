// What of a thread's scopes goes along to the threads on which LibTorch works for it: those of autograd that run
// the nodes of a device.
// Tried on LibTorch 1.13.1 and 2.11.0+cu130.
#pragma once

#include <memory>
#include <utility>

#include <c10/core/Device.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include "torch_bridge/allocation_gate.h"
#include "torch_bridge/op_interceptor.h"

namespace remat::torch_bridge {

/// Asks another thread's interceptor, and none outside of that.
class CarriedInterceptor final : public OpInterceptor {
 public:
  explicit CarriedInterceptor(std::shared_ptr<OpInterceptor> other) : other_(std::move(other)) {}
  void intercept(OpCall& call) override { other_->intercept(call); }

 private:
  std::shared_ptr<OpInterceptor> other_;
};

struct CarriedScopes final : c10::DebugInfoBase {
  CarriedScopes(std::shared_ptr<OpInterceptor> below_autograd,
                std::shared_ptr<AllocationGate> asked, c10::Device gated)
      : interceptor(std::move(below_autograd)), gate(std::move(asked)), device(gated) {}

  CarriedInterceptor interceptor;
  std::shared_ptr<AllocationGate> gate;  ///< for memory of `device`
  c10::Device device;

  /// nullptr if nothing was carried to this thread. Valid as long as the thread works for the other one.
  static CarriedScopes* of_this_thread();
};

/// While it lives, threads that LibTorch has work for this one have `scopes`. Threads may keep them alive for
/// longer.
class CarryScope {
 public:
  explicit CarryScope(std::shared_ptr<CarriedScopes> scopes);

 private:
  c10::DebugInfoGuard guard_;
};

}  // namespace remat::torch_bridge

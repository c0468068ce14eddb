// Devices besides the CPU: which there are, and which device and streams a thread works on.
// Tried on LibTorch 1.13.1, 2.6.0 (with a device that is made up) and 2.11.0+cu130.
#pragma once

#include <vector>

#include <c10/core/Device.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace remat::torch_bridge {

/// LibTorch's way to a kind of device; nullptr if it has none.
inline const c10::impl::DeviceGuardImplInterface* guard_of(c10::DeviceType type) {
  return c10::impl::device_guard_impl_registry[static_cast<std::size_t>(type)].load();
}

/// Calls `visit(guard)` for every kind of device, the CPU and meta excepted, of which this machine has one.
template <class Visit>
void for_each_kind_of_device(Visit&& visit) {
  constexpr auto kKinds = static_cast<int>(c10::DeviceType::COMPILE_TIME_MAX_DEVICE_TYPES);
  for (int kind = 0; kind < kKinds; ++kind) {
    const auto type = static_cast<c10::DeviceType>(kind);
    if (type == c10::kCPU || type == c10::kMeta) continue;
    const auto* guard = guard_of(type);
    if (guard != nullptr && guard->deviceCount() > 0) visit(*guard);
  }
}

/// Where the calling thread's operators run: for each kind of device the current one, and the current
/// stream of every one.
class DeviceState {
 public:
  /// Cost: a few nanoseconds for each device.
  static DeviceState current();

  /// Makes it the calling thread's state.
  void apply() const;

 private:
  std::vector<c10::Device> devices_;
  std::vector<c10::Stream> streams_;
};

/// While it lives, this thread works on the devices and streams of `state`. What is recomputed on the streams of
/// its forward is ready for the nodes that read it, as autograd runs each on the stream of its own operator.
class DeviceStateGuard {
 public:
  explicit DeviceStateGuard(const DeviceState& state) : outer_(DeviceState::current()) {
    state.apply();
  }
  ~DeviceStateGuard() { outer_.apply(); }
  DeviceStateGuard(const DeviceStateGuard&) = delete;
  DeviceStateGuard& operator=(const DeviceStateGuard&) = delete;

 private:
  DeviceState outer_;
};

}  // namespace remat::torch_bridge

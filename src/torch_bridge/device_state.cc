#include "torch_bridge/device_state.h"

namespace remat::torch_bridge {
namespace {

using Guard = c10::impl::DeviceGuardImplInterface;

}  // namespace

DeviceState DeviceState::current() {
  DeviceState state;
  for_each_kind_of_device([&](const Guard& guard) {
    state.devices_.push_back(guard.getDevice());
    for (c10::DeviceIndex i = 0; i < guard.deviceCount(); ++i) {
      state.streams_.push_back(guard.getStream(c10::Device(guard.type(), i)));
    }
  });
  return state;
}

// There were guards when the state was taken, and they stay registered. What is as it should be is left alone: setting a device may bring it up. Unchecked, as guards end by it too.
void DeviceState::apply() const {
  for (const c10::Stream& stream : streams_) {
    const Guard& guard = *guard_of(stream.device_type());
    if (guard.getStream(stream.device()) != stream) guard.exchangeStream(stream);
  }
  for (const c10::Device& device : devices_) {
    const Guard& guard = *guard_of(device.type());
    if (guard.getDevice() != device) guard.uncheckedSetDevice(device);
  }
}

}  // namespace remat::torch_bridge

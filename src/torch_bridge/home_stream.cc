#include "torch_bridge/home_stream.h"

#include <c10/core/Event.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace remat::torch_bridge {
namespace {

const c10::impl::DeviceGuardImplInterface& guard_of(c10::Device device) {
  return *c10::impl::getDeviceGuardImpl(device.type());
}

}  // namespace

HomeStream::HomeStream(c10::Device device) : device_(device) {
  if (!device.is_cpu()) stream_ = guard_of(device).getStream(device);
}

bool HomeStream::is_current() const {
  return !stream_ || guard_of(device_).getStream(device_) == *stream_;
}

void HomeStream::wait() const {
  if (stream_) guard_of(device_).synchronizeStream(*stream_);
}

void HomeStream::hand_over(const c10::Storage& storage) const {
  if (is_current()) return;
  const c10::Stream here = guard_of(device_).getStream(device_);
  c10::Event done(device_.type());
  done.record(*stream_);
  done.block(here);
  guard_of(device_).recordDataPtrOnStream(storage.data_ptr(), here);
}

HomeStream::Visit::Visit(const HomeStream& home) {
  if (!home.is_current()) away_ = guard_of(home.device_).exchangeStream(*home.stream_);
}

HomeStream::Visit::~Visit() {
  if (away_) guard_of(away_->device()).exchangeStream(*away_);
}

}  // namespace remat::torch_bridge

#include "torch_bridge/home_stream.h"

#include <c10/core/Event.h>

#include "torch_bridge/device_state.h"

namespace remat::torch_bridge {

HomeStream::HomeStream(c10::Device device) : device_(device) {
  if (!device.is_cpu()) stream_ = guard_of(device.type())->getStream(device);
}

bool HomeStream::is_current() const {
  return !stream_ || guard_of(device_.type())->getStream(device_) == *stream_;
}

void HomeStream::wait() const {
  if (stream_) guard_of(device_.type())->synchronizeStream(*stream_);
}

void HomeStream::hand_over(const c10::Storage& storage) const {
  if (is_current()) return;
  const c10::Stream here = guard_of(device_.type())->getStream(device_);
  c10::Event done(device_.type());
  done.record(*stream_);
  done.block(here);
  guard_of(device_.type())->recordDataPtrOnStream(storage.data_ptr(), here);
}

HomeStream::Visit::Visit(const HomeStream& home) {
  if (!home.is_current()) away_ = guard_of(home.device_.type())->exchangeStream(*home.stream_);
}

HomeStream::Visit::~Visit() {
  if (away_) guard_of(away_->device_type())->exchangeStream(*away_);
}

}  // namespace remat::torch_bridge

#include "torch_bridge/home_stream.h"

#include <c10/core/Event.h>

#include "torch_bridge/device_state.h"
#include "torch_bridge/op_interceptor.h"
#include "torch_bridge/stack_tensors.h"
#include "torch_bridge/storage_view.h"

namespace remat::torch_bridge {

HomeStream::HomeStream(c10::Device device) : device_(device) {
  if (!device.is_cpu()) stream_ = guard_of(device.type())->getStream(device);
}

bool HomeStream::is_current_there() const {
  return guard_of(device_.type())->getStream(device_) == *stream_;
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

void HomeStream::lend_arguments(OpCall& call) const {
  if (is_current()) return;
  const auto& guard = *guard_of(device_.type());
  const c10::Stream here = guard.getStream(device_);
  for (const c10::IValue& argument : torch::jit::last(call.stack(), call.argument_count())) {
    for_each_tensor(argument, [&](const at::Tensor& tensor) {
      if (!is_plain(tensor) || tensor.device() != device_) return;
      guard.recordDataPtrOnStream(tensor.storage().data_ptr(), here);
    });
  }
}

HomeStream::Visit::Visit(const HomeStream& home) {
  if (!home.is_current()) away_ = guard_of(home.device_.type())->exchangeStream(*home.stream_);
}

HomeStream::Visit::~Visit() {
  if (away_) guard_of(away_->device_type())->exchangeStream(*away_);
}

}  // namespace remat::torch_bridge

#include "torch_bridge/thread_state.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>

#include "torch_bridge/torch_version.h"

namespace remat::torch_bridge {
namespace {

constexpr c10::DeviceType kAutocastDevices[] = {c10::DeviceType::CPU, c10::DeviceType::CUDA};

// The names without a device are deprecated since 2.4 and warn.
#if REMAT_TORCH_AT_LEAST(2, 4)
bool autocast_enabled(c10::DeviceType type) { return at::autocast::is_autocast_enabled(type); }
c10::ScalarType autocast_dtype(c10::DeviceType type) {
  return at::autocast::get_autocast_dtype(type);
}
void set_autocast(c10::DeviceType type, bool enabled, c10::ScalarType dtype) {
  at::autocast::set_autocast_enabled(type, enabled);
  at::autocast::set_autocast_dtype(type, dtype);
}
#else
bool autocast_enabled(c10::DeviceType type) {
  return type == c10::DeviceType::CPU ? at::autocast::is_cpu_enabled() : at::autocast::is_enabled();
}
c10::ScalarType autocast_dtype(c10::DeviceType type) {
  return type == c10::DeviceType::CPU ? at::autocast::get_autocast_cpu_dtype()
                                      : at::autocast::get_autocast_gpu_dtype();
}
void set_autocast(c10::DeviceType type, bool enabled, c10::ScalarType dtype) {
  if (type == c10::DeviceType::CPU) {
    at::autocast::set_cpu_enabled(enabled);
    at::autocast::set_autocast_cpu_dtype(dtype);
  } else {
    at::autocast::set_enabled(enabled);
    at::autocast::set_autocast_gpu_dtype(dtype);
  }
}
#endif

void set_intra_op_threads(int threads) {
  if (threads != at::get_num_threads()) {
    at::set_num_threads(threads);
  }
}

}  // namespace

AutocastState AutocastState::current() {
  AutocastState state;
  for (auto type : kAutocastDevices) {
    state.devices_.push_back({type, autocast_enabled(type), autocast_dtype(type)});
  }
  state.cache_enabled_ = at::autocast::is_autocast_cache_enabled();
  return state;
}

void AutocastState::apply() const {
  for (const PerDevice& device : devices_) {
    set_autocast(device.type, device.enabled, device.dtype);
  }
  at::autocast::set_autocast_cache_enabled(cache_enabled_);
}

AutocastState AutocastState::without_cache() const {
  AutocastState state = *this;
  state.cache_enabled_ = false;
  return state;
}

AutocastState AutocastState::disabled() const {
  AutocastState state = *this;
  for (PerDevice& device : state.devices_) device.enabled = false;
  return state;
}

AutocastState AutocastState::enabled(c10::DeviceType type, c10::ScalarType dtype) const {
  AutocastState state = *this;
  for (PerDevice& device : state.devices_) {
    if (device.type == type) device = {type, true, dtype};
  }
  return state;
}

bool operator==(const AutocastState& a, const AutocastState& b) {
  const auto same = [](const auto& x, const auto& y) {
    return x.type == y.type && x.enabled == y.enabled && x.dtype == y.dtype;
  };
  return a.cache_enabled_ == b.cache_enabled_ &&
         std::equal(a.devices_.begin(), a.devices_.end(), b.devices_.begin(), b.devices_.end(),
                    same);
}

ThreadState ThreadState::current() { return {AutocastState::current(), at::get_num_threads()}; }

ThreadStateGuard::ThreadStateGuard(const ThreadState& state)
    : outer_(ThreadState::current()), grad_mode_(true) {
  state.autocast.without_cache().apply();
  set_intra_op_threads(state.intra_op_threads);
}

ThreadStateGuard::~ThreadStateGuard() {
  outer_.autocast.apply();
  set_intra_op_threads(outer_.intra_op_threads);
}

AutocastGuard::AutocastGuard(c10::DeviceType type, c10::ScalarType dtype)
    : outer_(AutocastState::current()) {
  outer_.enabled(type, dtype).apply();
  at::autocast::increment_nesting();
}

AutocastGuard::~AutocastGuard() {
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  outer_.apply();
}

NoAutocastGuard::NoAutocastGuard() : outer_(AutocastState::current()) { outer_.disabled().apply(); }

NoAutocastGuard::~NoAutocastGuard() { outer_.apply(); }

}  // namespace remat::torch_bridge

#include "torch_bridge/rng_state.h"

#include <mutex>

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/from_blob.h>

#include <remat/error.h>

#include "torch_bridge/op_interceptor.h"

namespace remat::torch_bridge {
namespace {

std::vector<at::Generator> generators_in_use() {
  std::vector<at::Generator> generators;
  if (!at::globalContext().hasCUDA()) {
    return generators;
  }
  const auto& cuda = at::detail::getCUDAHooks();
  const auto count = static_cast<c10::DeviceIndex>(cuda.getNumGPUs());
  for (c10::DeviceIndex i = 0; i < count; ++i) {
    if (cuda.hasPrimaryContext(i)) {
      generators.push_back(at::globalContext().defaultGenerator(c10::Device(at::kCUDA, i)));
    }
  }
  return generators;
}

}  // namespace

// States are contiguous CPU bytes on every backend.
DeviceRngState DeviceRngState::of(const at::Generator& generator) {
  const InterceptorPause pause;
  at::Generator same = generator;
  const std::lock_guard<std::mutex> lock(same.mutex());
  const at::Tensor state = same.get_state();
  const auto* const bytes = static_cast<const std::uint8_t*>(state.data_ptr());
  DeviceRngState copy;
  copy.bytes_.assign(bytes, bytes + state.nbytes());
  return copy;
}

void DeviceRngState::put_into(const at::Generator& generator) const {
  const InterceptorPause pause;
  std::vector<std::uint8_t> bytes = bytes_;
  at::Generator same = generator;
  const std::lock_guard<std::mutex> lock(same.mutex());
  same.set_state(at::from_blob(bytes.data(), {static_cast<std::int64_t>(bytes.size())}, at::kByte));
}

RngSnapshot RngSnapshot::of_devices() {
  RngSnapshot snapshot;
  for (at::Generator& generator : generators_in_use()) {
    DeviceRngState state = DeviceRngState::of(generator);
    snapshot.states_.push_back({std::move(generator), std::move(state)});
  }
  snapshot.defaults_ = snapshot.states_.size();
  return snapshot;
}

void RngSnapshot::add_default_of(c10::Device device, const c10::OperatorHandle& op) {
  if (device.is_cpu() || device.is_meta() || device.is_cuda()) {
    return;  // has a replay of its own; draws nothing; is there already
  }
  try {
    add(at::globalContext().defaultGenerator(device));
  } catch (const std::exception& error) {
    throw Error(
        "remat::checkpoint: " + c10::toString(op.operator_name()) +
        " draws random numbers on device " + device.str() +
        ", whose generator cannot be saved and restored, so that a recomputation would draw others. Draw "
        "them outside of the region, or set preserve_rng_state = false. LibTorch said: " +
        error.what());
  }
}

void RngSnapshot::add(const at::Generator& generator) {
  for (const State& state : states_) {
    if (state.generator == generator) {
      return;
    }
  }
  states_.push_back({generator, DeviceRngState::of(generator)});
}

void RngSnapshot::keep_moved_only() {
  if (generators_in_use().size() > defaults_) {
    throw Error(
        "remat::checkpoint: a CUDA device was used for the first time inside the region, so the state "
        "of its random number generator at the start of the region is not known. Use the device once "
        "before (any tensor on it will do), or set preserve_rng_state = false.");
  }
  std::vector<State> moved;
  for (State& state : states_) {
    if (!(state.state == DeviceRngState::of(state.generator))) {
      moved.push_back(std::move(state));
    }
  }
  states_ = std::move(moved);
}

void RngSnapshot::put_back() const {
  for (const State& state : states_) state.state.put_into(state.generator);
}

RngFork::RngFork(const RngSnapshot& snapshot) {
  for (const RngSnapshot::State& inner : snapshot.states_) {
    outer_.push_back({inner.generator, DeviceRngState::of(inner.generator)});
    inner.state.put_into(inner.generator);
  }
}

RngFork::~RngFork() {
  for (auto& [generator, state] : outer_) {
    state.put_into(generator);
  }
}

}  // namespace remat::torch_bridge

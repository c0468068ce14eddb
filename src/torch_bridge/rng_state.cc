#include "torch_bridge/rng_state.h"

#include <cstring>
#include <mutex>

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <remat/error.h>

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

at::Tensor state_of(at::Generator& generator) {
  std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}

void set_state(at::Generator& generator, const at::Tensor& state) {
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
}

// States are contiguous CPU bytes on every backend.
bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  return a.nbytes() == b.nbytes() && std::memcmp(a.data_ptr(), b.data_ptr(), a.nbytes()) == 0;
}

}  // namespace

RngSnapshot RngSnapshot::of_devices() {
  RngSnapshot snapshot;
  for (at::Generator& generator : generators_in_use()) {
    at::Tensor state = state_of(generator);
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
  at::Generator same = generator;
  states_.push_back({same, state_of(same)});
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
    if (!same_bytes(state.state, state_of(state.generator))) {
      moved.push_back(std::move(state));
    }
  }
  states_ = std::move(moved);
}

void RngSnapshot::put_back() const {
  for (const State& state : states_) {
    at::Generator generator = state.generator;
    set_state(generator, state.state);
  }
}

RngFork::RngFork(const RngSnapshot& snapshot) {
  for (const RngSnapshot::State& inner : snapshot.states_) {
    at::Generator generator = inner.generator;
    outer_.push_back({generator, state_of(generator)});
    set_state(generator, inner.state);
  }
}

RngFork::~RngFork() {
  for (auto& [generator, state] : outer_) {
    set_state(generator, state);
  }
}

}  // namespace remat::torch_bridge

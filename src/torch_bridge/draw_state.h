// Where a generator of random numbers is, on any device.
// Tried on LibTorch 1.13.1 and 2.11.0+cu130.
#pragma once

#include <variant>

#include <ATen/core/Generator.h>
#include <c10/core/Device.h>

#include "torch_bridge/cpu_rng_state.h"
#include "torch_bridge/rng_state.h"

namespace remat::torch_bridge {

/// The default generator of a device; undefined where LibTorch has no way to it.
at::Generator default_generator_of(c10::Device device);

class DrawState {
 public:
  /// Whether of() can be asked about `generator`: the CPU's and CUDA's.
  static bool is_known_of(const at::Generator& generator);
  /// Cost: a copy of 2.5 KB on the CPU, of a few bytes elsewhere.
  static DrawState of(const at::Generator& generator);

  /// Has `generator`, of the same device, go on from here.
  void put_into(const at::Generator& generator) const;

  /// A new generator, of the kind of `generator`, that goes on from here.
  at::Generator stand_in_for(const at::Generator& generator) const;

 private:
  explicit DrawState(CpuRngState state) : state_(state) {}
  explicit DrawState(DeviceRngState state) : state_(std::move(state)) {}

  std::variant<CpuRngState, DeviceRngState> state_;
};

}  // namespace remat::torch_bridge

#include "torch_bridge/draw_state.h"

#include <utility>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

namespace remat::torch_bridge {

at::Generator default_generator_of(c10::Device device) {
  if (device.is_cpu()) return at::detail::getDefaultCPUGenerator();
  return device.is_cuda() ? at::globalContext().defaultGenerator(device) : at::Generator();
}

bool DrawState::is_known_of(const at::Generator& generator) {
  if (!generator.defined()) return false;
  return generator.device().is_cuda() || cpu_generator(generator) != nullptr;
}

DrawState DrawState::of(const at::Generator& generator) {
  if (generator.device().is_cpu()) return DrawState(CpuRngState::of(*cpu_generator(generator)));
  return DrawState(DeviceRngState::of(generator));
}

void DrawState::put_into(const at::Generator& generator) const {
  if (const auto* cpu = std::get_if<CpuRngState>(&state_)) {
    return cpu->put_into(*cpu_generator(generator));
  }
  std::get<DeviceRngState>(state_).put_into(generator);
}

at::Generator DrawState::stand_in_for(const at::Generator& generator) const {
  const bool is_cpu = std::holds_alternative<CpuRngState>(state_);
  at::Generator stand_in =
      is_cpu ? at::make_generator<at::CPUGeneratorImpl>() : at::Generator(generator).clone();
  put_into(stand_in);
  return stand_in;
}

}  // namespace remat::torch_bridge

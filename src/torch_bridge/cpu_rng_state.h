// Where a CPU random number generator stands: cheap to copy and to compare, unlike its state tensor.
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130.
#pragma once

#include <ATen/CPUGeneratorImpl.h>

namespace remat::torch_bridge {

/// All that decides the next numbers of a CPU generator. About 2.5 KB.
class CpuRngState {
 public:
  /// Of `generator`, under its lock.
  static CpuRngState of(at::CPUGeneratorImpl& generator);

  /// Makes `generator` continue from here, under its lock.
  void put_into(at::CPUGeneratorImpl& generator) const;

  /// Whether nothing was drawn since the generator was seeded.
  bool is_fresh() const;

  friend bool operator==(const CpuRngState& a, const CpuRngState& b);
  friend bool operator!=(const CpuRngState& a, const CpuRngState& b) { return !(a == b); }

 private:
  explicit CpuRngState(at::CPUGeneratorImpl& generator);

  at::mt19937 engine_;
  // The second number of a pair of normal ones, kept for the next call.
  c10::optional<float> next_float_normal_;
  c10::optional<double> next_double_normal_;
};

/// The CPU generator behind `generator`, nullptr if it is another device's.
at::CPUGeneratorImpl* cpu_generator(const at::Generator& generator);

}  // namespace remat::torch_bridge

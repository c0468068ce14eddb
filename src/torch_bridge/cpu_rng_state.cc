#include "torch_bridge/cpu_rng_state.h"

#include <mutex>

namespace remat::torch_bridge {

CpuRngState::CpuRngState(at::CPUGeneratorImpl& generator)
    : engine_(generator.engine()),
      next_float_normal_(generator.next_float_normal_sample()),
      next_double_normal_(generator.next_double_normal_sample()) {}

CpuRngState CpuRngState::of(at::CPUGeneratorImpl& generator) {
  std::lock_guard<std::mutex> lock(generator.mutex_);
  return CpuRngState(generator);
}

void CpuRngState::put_into(at::CPUGeneratorImpl& generator) const {
  std::lock_guard<std::mutex> lock(generator.mutex_);
  generator.set_engine(engine_);
  generator.set_next_float_normal_sample(next_float_normal_);
  generator.set_next_double_normal_sample(next_double_normal_);
}

bool CpuRngState::is_fresh() const {
  const at::mt19937_data_pod data = engine_.data();
  return data.left_ == 1 && data.next_ == 0;  // as mt19937's constructor leaves them
}

bool operator==(const CpuRngState& a, const CpuRngState& b) {
  const at::mt19937_data_pod x = a.engine_.data(), y = b.engine_.data();
  return x.left_ == y.left_ && x.next_ == y.next_ && x.seed_ == y.seed_ && x.state_ == y.state_ &&
         a.next_float_normal_ == b.next_float_normal_ &&
         a.next_double_normal_ == b.next_double_normal_;
}

at::CPUGeneratorImpl* cpu_generator(const at::Generator& generator) {
  return generator.defined()
             ? dynamic_cast<at::CPUGeneratorImpl*>(generator.unsafeGetGeneratorImpl())
             : nullptr;
}

}  // namespace remat::torch_bridge

#include "common/machine.h"

#include <string>

#include <fmt/format.h>

#include <ATen/Parallel.h>
#include <torch/version.h>

#include "common/processor.h"

namespace remat::benchmarks {

std::string describe_machine() {
  return fmt::format("{}; LibTorch {}, {} thread(s)", describe_processor(), TORCH_VERSION,
                     at::get_num_threads());
}

}  // namespace remat::benchmarks

#include "common/machine.h"

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ATen/Parallel.h>
#include <torch/version.h>

namespace remat::benchmarks {
namespace {

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) {
      return line.substr(line.find(':') + 2);
    }
  }
  return "unknown processor";
}

}  // namespace

std::string describe_machine() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{}, {} cores, {:%Y-%m-%d}; {} build, compiler {}; LibTorch {}, {} thread(s)",
                     processor(), std::thread::hardware_concurrency(), fmt::gmtime(now),
                     REMAT_BUILD_TYPE, __VERSION__, TORCH_VERSION, at::get_num_threads());
}

}  // namespace remat::benchmarks

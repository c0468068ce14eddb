#include "common/processor.h"

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include <fmt/chrono.h>
#include <fmt/format.h>

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

std::string describe_processor() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{}, {} cores, {:%Y-%m-%d}; {} build, compiler {}", processor(),
                     std::thread::hardware_concurrency(), fmt::gmtime(now), REMAT_BUILD_TYPE,
                     __VERSION__);
}

}  // namespace remat::benchmarks

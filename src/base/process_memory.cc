#include "base/process_memory.h"

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

namespace remat {
namespace {

constexpr std::int64_t kUnit = 1024;  // the file says "kB"

// The number in a line such as "VmRSS:	  1234 kB", if it has this key.
std::optional<Bytes> read_line(const std::string& line, std::string_view key) {
  if (line.compare(0, key.size(), key) != 0) return std::nullopt;
  try {
    return Bytes(std::stoll(line.substr(key.size())) * kUnit);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace

std::optional<ProcessMemory> process_memory() {
  std::ifstream file("/proc/self/status");
  std::optional<Bytes> resident, peak;
  for (std::string line; std::getline(file, line);) {
    if (const auto bytes = read_line(line, "VmRSS:")) resident = bytes;
    if (const auto bytes = read_line(line, "VmHWM:")) peak = bytes;
  }
  if (!resident || !peak) return std::nullopt;
  return ProcessMemory{*resident, *peak};
}

}  // namespace remat

// What the operating system says that this process has in memory.
#pragma once

#include <optional>

#include <remat/bytes.h>

namespace remat {

struct ProcessMemory {
  Bytes resident;  ///< now
  Bytes peak;      ///< the most there was since the process began
};

/// nullopt where /proc/self/status does not tell.
std::optional<ProcessMemory> process_memory();

}  // namespace remat

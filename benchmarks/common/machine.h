// What a benchmark's numbers were taken on.
#pragma once

#include <string>

namespace remat::benchmarks {

/// One line: processor, cores, date, build type, compiler, LibTorch version, threads.
std::string describe_machine();

}  // namespace remat::benchmarks

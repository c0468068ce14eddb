// What a benchmark without LibTorch was run on.
#pragma once

#include <string>

namespace remat::benchmarks {

/// One line: processor, cores, date, build type, compiler.
std::string describe_processor();

}  // namespace remat::benchmarks

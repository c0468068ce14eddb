// Who multiplies LibTorch's matrices: it decides speed, and whose threads take part.
#pragma once

#include <string>

namespace remat::cli {

/// "openblas-openmp", "openblas-pthread", "openblas-serial", or "other" if it is not OpenBLAS.
/// With openblas-pthread, --threads does not reach BLAS: it has threads of its own.
std::string blas_name();

}  // namespace remat::cli

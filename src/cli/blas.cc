#include "cli/blas.h"

#include <dlfcn.h>

namespace remat::cli {

std::string blas_name() {
  // Not linked: LibTorch brings its BLAS along, and another LibTorch another one.
  using GetParallel = int (*)();
  const auto parallel = reinterpret_cast<GetParallel>(dlsym(RTLD_DEFAULT, "openblas_get_parallel"));
  if (parallel == nullptr) return "other";
  switch (parallel()) {
    case 0:
      return "openblas-serial";
    case 1:
      return "openblas-pthread";
    case 2:
      return "openblas-openmp";
    default:
      return "other";
  }
}

}  // namespace remat::cli

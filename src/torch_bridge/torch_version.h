// The LibTorch version as a number to compare with. Differences between versions live in this folder.
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130.
#pragma once

#include <torch/version.h>

#define REMAT_TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) ||        \
   (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

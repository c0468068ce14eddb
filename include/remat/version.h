// The one place that states remat's version: CMake reads it, `remat --version` prints it.
#pragma once

#define REMAT_VERSION_MAJOR 0
#define REMAT_VERSION_MINOR 1
#define REMAT_VERSION_PATCH 0

#define REMAT_VERSION_STRING "0.1.0"

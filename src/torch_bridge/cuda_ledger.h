// The memory of CUDA devices, counted.
#pragma once

#include <c10/core/Device.h>

#include "torch_bridge/memory_ledger.h"

namespace remat::torch_bridge {

/// As ledger_of (device_ledger.h), of a CUDA device that is there.
MemoryLedger& cuda_ledger_of(c10::Device device, const char* operation);

}  // namespace remat::torch_bridge

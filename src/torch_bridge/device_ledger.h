// The memory of any device, counted.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/StorageImpl.h>

#include "torch_bridge/memory_ledger.h"

namespace remat::torch_bridge {

/// The device itself: for a kind without a number, the calling thread's current one.
c10::Device with_index(c10::Device device);

/// What LibTorch's allocator for `device` (with_index) has handed out; from the first call on it is counted,
/// and AllocationGates are asked before each allocation. Stays where it is until the process ends.
/// `operation` is what the error says could not be done.
/// Errors: Error if memory of such a device cannot be counted here.
MemoryLedger& ledger_of(c10::Device device, const char* operation);

/// Whether the memory of a storage, on a device whose memory is counted, is among it. Blocks of no bytes are not.
bool is_counted(const c10::StorageImpl& storage);

}  // namespace remat::torch_bridge

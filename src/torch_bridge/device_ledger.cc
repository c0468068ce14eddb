#include "torch_bridge/device_ledger.h"

#include <remat/error.h>

#include "base/check.h"
#include "torch_bridge/counted_allocator.h"
#include "torch_bridge/cpu_allocator.h"
#include "torch_bridge/cuda_ledger.h"
#include "torch_bridge/device_state.h"

namespace remat::torch_bridge {

c10::Device with_index(c10::Device device) {
  if (device.is_cpu() || device.has_index()) return device.is_cpu() ? c10::kCPU : device;
  const auto* const guard = guard_of(device.type());
  return guard == nullptr ? device : guard->getDevice();
}

MemoryLedger& ledger_of(c10::Device device, const char* operation) {
  if (device.is_cpu()) {
    CpuAllocator::install_counting(operation);
    return CpuAllocator::installed()->ledger();
  }
  const auto* const guard = guard_of(device.type());
  REMAT_CHECK(guard != nullptr && device.index() < guard->deviceCount(), Error,
              "{}: LibTorch finds no device {} here", operation, device.str());
  return device.is_cuda() ? cuda_ledger_of(device, operation)
                          : CountedAllocator::install(device.type(), operation).ledger_of(device);
}

bool is_counted(const c10::StorageImpl& storage) {
  if (storage.device().is_cpu()) return CpuAllocator::allocation_of(storage) != 0;
  return storage.device().is_cuda() ||
         CountedAllocator::made(storage);  // CUDA's own counts know all
}

}  // namespace remat::torch_bridge

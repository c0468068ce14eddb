// Tried on LibTorch 2.11.0+cu130.
#include "torch_bridge/cuda_ledger.h"

#include <remat/error.h>

#include "base/check.h"
#include "torch_bridge/torch_version.h"

#if REMAT_TORCH_HAS_CUDA && REMAT_TORCH_AT_LEAST(2, 11)

#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include <ATen/Context.h>

#include "torch_bridge/gated_cuda_allocator.h"

namespace remat::torch_bridge {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

/// The ledgers of all CUDA devices, told by the allocator itself of what it hands out and takes back, on every
/// thread, raw blocks included.
class CudaLedgers {
 public:
  CudaLedgers() {
    const c10::DeviceIndex devices = c10::cuda::device_count();
    for (c10::DeviceIndex i = 0; i < devices; ++i) {
      ledgers_.push_back(std::make_unique<MemoryLedger>(c10::Device(c10::kCUDA, i)));
    }
  }

  /// The ledger of `device`, which counts from the first call on what is in use then, too.
  MemoryLedger& start(c10::DeviceIndex device) {
    const std::lock_guard<std::mutex> lock(starting_);
    if (!follows_) {
      c10::cuda::CUDACachingAllocator::attachAllocatorTraceTracker(
          [this](const allocator::TraceEntry& entry) { note(entry); });
      follows_ = true;
    }
    MemoryLedger& ledger = *ledgers_[static_cast<std::size_t>(device)];
    if (started_.insert(device).second) {
      // As the events have it: what was asked for, not what it was rounded up to.
      const auto in_use = allocator::getDeviceStats(device).requested_bytes[0].current;
      ledger.add(in_use - ledger.live_bytes());
    }
    return ledger;
  }

 private:
  struct Block {
    std::uint64_t allocation;
    std::int64_t bytes;
  };

  // Called under the device's allocator lock: takes none but its own and the ledger's.
  void note(const allocator::TraceEntry& entry) {
    MemoryLedger& ledger = *ledgers_[static_cast<std::size_t>(entry.device_)];
    const std::lock_guard<std::mutex> lock(mutex_);
    if (entry.action_ == allocator::TraceEntry::ALLOC) {
      const auto bytes = static_cast<std::int64_t>(entry.size_);
      live_[entry.addr_] = {ledger.add(bytes), bytes};
    } else if (entry.action_ == allocator::TraceEntry::FREE_REQUESTED) {
      const auto found = live_.find(entry.addr_);
      // From before: number 0, which nobody follows.
      const Block gone =
          found != live_.end() ? found->second : Block{0, static_cast<std::int64_t>(entry.size_)};
      ledger.remove(gone.allocation, gone.bytes);
      if (found != live_.end()) live_.erase(found);
    }
  }

  std::mutex starting_, mutex_;
  bool follows_ = false;
  std::set<c10::DeviceIndex> started_;
  std::vector<std::unique_ptr<MemoryLedger>> ledgers_;
  std::unordered_map<std::size_t, Block> live_;
};

}  // namespace

// Never destroyed, as the allocator is not.
MemoryLedger& cuda_ledger_of(c10::Device device, const char* operation) {
  static auto& ledgers = *new CudaLedgers();
  try {
    at::globalContext().lazyInitDevice(c10::kCUDA);  // before that there is nothing to follow
    GatedCudaAllocator::install();
    return ledgers.start(device.index());
  } catch (const c10::Error& error) {
    fail<Error>(
        "{}: LibTorch's CUDA allocator cannot be followed; use its own, not cudaMallocAsync. It said: {}",
        operation, error.what_without_backtrace());
  }
}

}  // namespace remat::torch_bridge

#else

namespace remat::torch_bridge {

MemoryLedger& cuda_ledger_of(c10::Device device, const char* operation) {
  fail<Error>(
      "{}: the memory of {} cannot be counted: remat was built without CUDA, or against a LibTorch before 2.11. "
      "Build it against a newer one, or give a budget for the CPU",
      operation, device.str());
}

}  // namespace remat::torch_bridge

#endif

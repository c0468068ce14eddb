// When what a step has given a device to do is done, and the most bytes it took there.
#pragma once

#include <cstdint>
#include <optional>

#include <torch/cuda.h>
#include <torch/version.h>

#include <remat/memory.h>

#include "common/instant.h"

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 11)
#define REMAT_ALLOCATOR_COUNTS 1
#include <c10/core/CachingDeviceAllocator.h>
#endif

namespace remat::benchmarks {

/// On the CPU bytes are remat's tracker's, of its own lifetime; elsewhere the allocator's own counts, of the
/// process, which cost nothing (where LibTorch gives them by an interface of all devices).
class Meter {
 public:
  explicit Meter(c10::Device device) : device_(device) {
    if (!by_allocator()) tracker_.emplace();
  }

  /// Now, and all that was begun is done.
  Instant now() const {
    if (device_.is_cuda()) torch::cuda::synchronize();
    return {};
  }

  void reset_peak() {
    if (tracker_) tracker_->reset_peak();
#ifdef REMAT_ALLOCATOR_COUNTS
    if (!tracker_) c10::getDeviceAllocator(device_.type())->resetPeakStats(device_.index());
#endif
  }

  std::int64_t peak_bytes() const {
#ifdef REMAT_ALLOCATOR_COUNTS
    if (!tracker_) {
      const auto stats = c10::getDeviceAllocator(device_.type())->getDeviceStats(device_.index());
      return stats.allocated_bytes[0].peak;
    }
#endif
    return tracker_->peak_bytes(device_).count();
  }

 private:
  bool by_allocator() const {
#ifdef REMAT_ALLOCATOR_COUNTS
    return !device_.is_cpu();
#else
    return false;
#endif
  }

  c10::Device device_;
  std::optional<MemoryTracker> tracker_;
};

}  // namespace remat::benchmarks

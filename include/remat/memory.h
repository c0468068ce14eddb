// What tensors take: bytes that LibTorch's allocators have handed out.
#pragma once

#include <memory>

#include <c10/core/Device.h>

#include <remat/bytes.h>

namespace remat {

/// Counts the tensor bytes allocated and freed while it lives, per device.
///
/// It sees the thread that made it, and the threads that autograd (and at::launch) run on that
/// thread's behalf, CPU and device alike. Trackers nest and may overlap: each counts everything in
/// its own lifetime.
///
/// Units:    bytes as the allocator handed them out: storages, not `numel * itemsize`. What the
///           operating system sees differs (free lists, fragmentation).
/// Baseline: counts start at zero; a block allocated before the tracker was made is not counted, nor
///           is its release. LibTorch itself logs one warning to stderr when such a block is released
///           ("Memory block of unknown size ..."): make the tracker before the model to avoid it.
/// Errors:   Error if another user of LibTorch's memory reporting (the profiler) is active on this
///           thread.
/// Threads:  make and destroy it on the same thread; the readings may be taken on any thread.
/// Lifetime: destroy trackers before any c10::DebugInfoGuard that is older than they are.
/// Cost:     about 100 ns for each allocation and each release, and 64 bytes for each live block.
class MemoryTracker {
 public:
  MemoryTracker();
  ~MemoryTracker();

  MemoryTracker(const MemoryTracker&) = delete;
  MemoryTracker& operator=(const MemoryTracker&) = delete;

  /// Bytes allocated since the tracker was made and not yet released.
  Bytes live_bytes(c10::Device device = c10::kCPU) const;

  /// The largest live_bytes() since the tracker was made or reset_peak() was last called.
  Bytes peak_bytes(c10::Device device = c10::kCPU) const;

  /// Starts a new peak at the present live bytes, on every device.
  void reset_peak();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace remat

// What tensors take: bytes that LibTorch's allocators have handed out.
#pragma once

#include <memory>
#include <optional>

#include <c10/core/Device.h>

#include <remat/bytes.h>

namespace remat {

/// Counts the tensor bytes allocated and freed while it lives, per device.
///
/// It sees the thread that made it, and the threads that autograd (and at::launch) run on that
/// thread's behalf, CPU and device alike. Made once the allocator is a counting one, it sees CPU memory
/// on every thread: after use_huge_page_allocator(), or after a remat::Budget, which installs the same
/// counts without huge pages. Trackers nest and may overlap: each counts everything in its own lifetime.
///
/// Units:    bytes as the allocator handed them out: storages, not `numel * itemsize`. What the
///           operating system sees differs (free lists, fragmentation).
/// Baseline: counts start at zero; a block allocated before the tracker was made is not counted, nor
///           is its release. LibTorch itself logs one warning to stderr when such a block is released
///           ("Memory block of unknown size ..."): make the tracker before the model to avoid it.
/// Errors:   Error if another user of LibTorch's memory reporting (the profiler) is active on this
///           thread. With a counting allocator, on a machine that has only CPUs, they coexist.
/// Threads:  make and destroy it on the same thread; the readings may be taken on any thread.
/// Lifetime: destroy trackers before any c10::DebugInfoGuard that is older than they are.
/// Cost:     about 100 ns for each allocation and each release, and 64 bytes for each live block; a few
///           nanoseconds with a counting allocator.
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

/// Replaces LibTorch's CPU allocator for the rest of the process: blocks come from huge pages and are reused,
/// and every block is counted. Nothing calls it behind your back.
///
/// With the C library's malloc a training step faults its tensors in again and again, and the process
/// holds a multiple of what is live. Here the large blocks keep about 4 % more resident than the most that
/// they took at one time (docs/design/memory.md); with everything else in the process, 9 to 22 % were
/// measured (docs/benchmarks.md). Of that it gives back nothing before the process ends.
///
/// Errors:   Error if another allocator has been installed with a higher priority.
/// Threads:  call it while no other thread allocates tensors, best first in main(). More calls do nothing.
/// Lifetime: tensors from before go back to the allocator that made them. Blocks taken with
///           c10::Allocator::raw_allocate before must be released before.
/// Cost:     64 bytes for each block; the time of malloc or less for small ones, about 200 ns for large ones.
void use_huge_page_allocator();

/// Bytes of all CPU storages that are live now, on every thread, whoever made them, tracker or none.
/// nullopt before use_huge_page_allocator() or the first remat::Budget, which installs the counting allocator too,
/// without huge pages; what was allocated before that is not counted.
std::optional<Bytes> live_cpu_bytes();

}  // namespace remat

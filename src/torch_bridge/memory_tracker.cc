// remat::MemoryTracker over the allocator events that LibTorch reports to its profiler slot, and over the
// ledger of remat's CPU allocator where that is installed.
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130.
#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <remat/error.h>
#include <remat/memory.h>

#include "torch_bridge/cpu_allocator.h"
#include "torch_bridge/device_state.h"
#include "torch_bridge/memory_counters.h"
#include "torch_bridge/torch_version.h"

namespace remat {
namespace {

using torch_bridge::CpuAllocator;
using torch_bridge::for_each_kind_of_device;
using torch_bridge::MemoryCounters;

#if REMAT_TORCH_AT_LEAST(2, 0)
using TotalBytes = std::size_t;
#else
using TotalBytes = std::int64_t;
#endif

/// Receives LibTorch's allocator events and hands them to every tracker of the thread that made it.
class Reporter final : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* block, std::int64_t bytes, TotalBytes /*allocated*/,
                         TotalBytes /*reserved*/, c10::Device device) override {
    std::lock_guard<std::mutex> lock(mutex_);
    const std::uint64_t allocation = number_of(block, bytes);
    for (MemoryCounters* counters : trackers_) {
      if (counters->counts(allocation)) {
        counters->add(device, bytes);
      }
    }
  }
  bool memoryProfilingEnabled() const override { return true; }

  /// `counters` count allocations from now on, and the releases of those.
  void subscribe(MemoryCounters* counters) {
    std::lock_guard<std::mutex> lock(mutex_);
    *counters = MemoryCounters(next_allocation_);
    trackers_.push_back(counters);
  }
  void unsubscribe(MemoryCounters* counters) {
    std::lock_guard<std::mutex> lock(mutex_);
    trackers_.erase(std::find(trackers_.begin(), trackers_.end(), counters));
  }
  template <class Read>
  auto locked(Read&& read) {
    std::lock_guard<std::mutex> lock(mutex_);
    return read();
  }

 private:
  /// The number of the allocation that made `block`: the next one for a new block. A block that was
  /// there before the reporter has number 0, which nobody counts.
  std::uint64_t number_of(void* block, std::int64_t bytes) {
    if (bytes >= 0) {
      return live_blocks_[block] = next_allocation_++;
    }
    const auto found = live_blocks_.find(block);
    if (found == live_blocks_.end()) {
      return 0;
    }
    const std::uint64_t number = found->second;
    live_blocks_.erase(found);
    return number;
  }

  std::mutex mutex_;
  std::vector<MemoryCounters*> trackers_;
  std::unordered_map<void*, std::uint64_t> live_blocks_;
  std::uint64_t next_allocation_ = 1;
};

/// The reporter of one thread, in LibTorch's slot while any tracker of that thread lives.
struct Session {
  std::shared_ptr<Reporter> reporter = std::make_shared<Reporter>();
  c10::DebugInfoGuard guard{c10::DebugInfoKind::PROFILER_STATE, reporter};
};

std::shared_ptr<Session> session_of_this_thread() {
  thread_local std::weak_ptr<Session> current;
  c10::DebugInfoBase* occupant = c10::ThreadLocalDebugInfo::get(c10::DebugInfoKind::PROFILER_STATE);
  std::shared_ptr<Session> session = current.lock();
  if (session != nullptr && occupant == session->reporter.get()) {
    return session;
  }
  if (occupant != nullptr) {
    throw Error(
        "remat::MemoryTracker: LibTorch's memory reporting is in use on this thread (a profiler, or a "
        "tracker of the thread that this one works for). Make the tracker before starting the profiler "
        "or on the other thread.");
  }
  session = std::make_shared<Session>();
  current = session;
  return session;
}

// Devices besides the CPU, whose allocators only report to the profiler's slot.
bool other_devices() {
  bool any = false;
  for_each_kind_of_device([&any](const auto&) { any = true; });
  return any;
}

}  // namespace

class MemoryTracker::Impl {
 public:
  Impl() {
    if (cpu_ == nullptr || other_devices()) session_ = session_of_this_thread();
    if (session_) session_->reporter->subscribe(&reported_);
    if (cpu_ != nullptr) cpu_->ledger().subscribe(&ledger_);
  }
  ~Impl() {
    if (session_) session_->reporter->unsubscribe(&reported_);
    if (cpu_ != nullptr) cpu_->ledger().unsubscribe(&ledger_);
  }

  Bytes live(c10::Device device) const {
    return read(device, [device](const MemoryCounters& counters) { return counters.live(device); });
  }
  Bytes peak(c10::Device device) const {
    return read(device, [device](const MemoryCounters& counters) { return counters.peak(device); });
  }
  void reset_peak() {
    if (session_) session_->reporter->locked([&] { reported_.reset_peak(); });
    if (cpu_ != nullptr) cpu_->ledger().locked([&] { ledger_.reset_peak(); });
  }

 private:
  template <class Read>
  Bytes read(c10::Device device, Read&& read) const {
    if (cpu_ != nullptr && device.is_cpu()) {
      return cpu_->ledger().locked([&] { return read(ledger_); });
    }
    return session_ ? session_->reporter->locked([&] { return read(reported_); }) : Bytes(0);
  }

  CpuAllocator* cpu_ = CpuAllocator::installed();
  std::shared_ptr<Session> session_;  // nullptr where the ledger tells all
  MemoryCounters reported_, ledger_;
};

MemoryTracker::MemoryTracker() : impl_(std::make_unique<Impl>()) {}
MemoryTracker::~MemoryTracker() = default;

Bytes MemoryTracker::live_bytes(c10::Device device) const { return impl_->live(device); }
Bytes MemoryTracker::peak_bytes(c10::Device device) const { return impl_->peak(device); }
void MemoryTracker::reset_peak() { impl_->reset_peak(); }

}  // namespace remat

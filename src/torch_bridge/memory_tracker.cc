// remat::MemoryTracker over the allocator events that LibTorch reports to its profiler slot.
// Tried on LibTorch 1.13.1 and 2.6.0.
#include <algorithm>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <remat/error.h>
#include <remat/memory.h>

#include "torch_bridge/torch_version.h"

namespace remat {
namespace {

#if REMAT_TORCH_AT_LEAST(2, 0)
using TotalBytes = std::size_t;
#else
using TotalBytes = std::int64_t;
#endif

/// Bytes counted since a tracker was made, for each device.
class Counters {
 public:
  /// `first`: the number of the first allocation that counts.
  explicit Counters(std::uint64_t first = 0) : first_(first) {}

  bool counts(std::uint64_t allocation) const { return allocation >= first_; }

  void add(c10::Device device, std::int64_t bytes) {
    Counter& counter = counters_[key_of(device)];
    counter.live += Bytes(bytes);
    counter.peak = std::max(counter.peak, counter.live);
  }
  Bytes live(c10::Device device) const { return find(device).live; }
  Bytes peak(c10::Device device) const { return find(device).peak; }
  void reset_peak() {
    for (auto& [key, counter] : counters_) {
      counter.peak = counter.live;
    }
  }

 private:
  using Key = std::pair<c10::DeviceType, c10::DeviceIndex>;
  struct Counter {
    Bytes live, peak;
  };

  // "cuda" without an index means the first device here, as the allocators always report an index.
  static Key key_of(c10::Device device) {
    return {device.type(),
            device.is_cpu() ? c10::DeviceIndex(-1) : std::max<c10::DeviceIndex>(device.index(), 0)};
  }
  Counter find(c10::Device device) const {
    const auto found = counters_.find(key_of(device));
    return found != counters_.end() ? found->second : Counter();
  }

  std::uint64_t first_;
  std::map<Key, Counter> counters_;
};

/// Receives LibTorch's allocator events and hands them to every tracker of the thread that made it.
class Reporter final : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* block, std::int64_t bytes, TotalBytes /*allocated*/,
                         TotalBytes /*reserved*/, c10::Device device) override {
    std::lock_guard<std::mutex> lock(mutex_);
    const std::uint64_t allocation = number_of(block, bytes);
    for (Counters* counters : trackers_) {
      if (counters->counts(allocation)) {
        counters->add(device, bytes);
      }
    }
  }
  bool memoryProfilingEnabled() const override { return true; }

  /// `counters` count allocations from now on, and the releases of those.
  void subscribe(Counters* counters) {
    std::lock_guard<std::mutex> lock(mutex_);
    *counters = Counters(next_allocation_);
    trackers_.push_back(counters);
  }
  void unsubscribe(Counters* counters) {
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
  std::vector<Counters*> trackers_;
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

}  // namespace

class MemoryTracker::Impl {
 public:
  Impl() : session_(session_of_this_thread()) { session_->reporter->subscribe(&counters_); }
  ~Impl() { session_->reporter->unsubscribe(&counters_); }

  Bytes live(c10::Device device) const {
    return session_->reporter->locked([&] { return counters_.live(device); });
  }
  Bytes peak(c10::Device device) const {
    return session_->reporter->locked([&] { return counters_.peak(device); });
  }
  void reset_peak() {
    session_->reporter->locked([&] { counters_.reset_peak(); });
  }

 private:
  std::shared_ptr<Session> session_;
  Counters counters_;
};

MemoryTracker::MemoryTracker() : impl_(std::make_unique<Impl>()) {}
MemoryTracker::~MemoryTracker() = default;

Bytes MemoryTracker::live_bytes(c10::Device device) const { return impl_->live(device); }
Bytes MemoryTracker::peak_bytes(c10::Device device) const { return impl_->peak(device); }
void MemoryTracker::reset_peak() { impl_->reset_peak(); }

}  // namespace remat

// The memory that LibTorch's allocator of one device has handed out.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include <c10/core/Device.h>

#include "torch_bridge/memory_counters.h"

namespace remat::torch_bridge {

/// The live bytes of an allocator, and those who follow them. Threads: any.
class MemoryLedger {
 public:
  explicit MemoryLedger(c10::Device device) : device_(device) {}

  c10::Device device() const { return device_; }

  /// The number of the allocation, from 1.
  std::uint64_t add(std::int64_t bytes);
  void remove(std::uint64_t allocation, std::int64_t bytes);

  /// Of all allocations.
  std::int64_t live_bytes() const { return live_.load(std::memory_order_relaxed); }
  /// The number of the latest allocation.
  std::uint64_t latest() const;

  /// `counters` count allocations from now on, and the releases of those.
  void subscribe(MemoryCounters* counters);
  /// `counters` count allocations and all releases from now on: memory from before that goes makes less than 0.
  void follow(MemoryCounters* counters);
  void unsubscribe(MemoryCounters* counters);
  template <class Read>
  auto locked(Read&& read) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return read();
  }

 private:
  void tell(std::uint64_t allocation, std::int64_t bytes);

  const c10::Device device_;
  mutable std::mutex mutex_;
  std::vector<MemoryCounters*> followers_;
  std::uint64_t allocations_ = 0;
  std::atomic<std::int64_t> live_{0};  // written under the mutex
};

/// Counts what a ledger's allocator hands out and takes back while it lives.
class LedgerReader {
 public:
  explicit LedgerReader(MemoryLedger& ledger) : ledger_(ledger) { ledger_.follow(&counters_); }
  ~LedgerReader() { ledger_.unsubscribe(&counters_); }
  LedgerReader(const LedgerReader&) = delete;
  LedgerReader& operator=(const LedgerReader&) = delete;

  /// More live bytes than at its beginning, at most.
  Bytes peak() const {
    return ledger_.locked([&] { return counters_.peak(ledger_.device()); });
  }

 private:
  MemoryLedger& ledger_;
  MemoryCounters counters_;
};

}  // namespace remat::torch_bridge

#include "torch_bridge/memory_ledger.h"

#include <algorithm>

namespace remat::torch_bridge {

std::uint64_t MemoryLedger::add(std::int64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  tell(++allocations_, bytes);
  return allocations_;
}

void MemoryLedger::remove(std::uint64_t allocation, std::int64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  tell(allocation, -bytes);
}

void MemoryLedger::tell(std::uint64_t allocation, std::int64_t bytes) {
  live_.store(live_bytes() + bytes, std::memory_order_relaxed);
  for (auto* counters : followers_) {
    if (counters->counts(allocation)) counters->add(device_, bytes);
  }
}

std::uint64_t MemoryLedger::latest() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return allocations_;
}

void MemoryLedger::subscribe(MemoryCounters* counters) {
  const std::lock_guard<std::mutex> lock(mutex_);
  *counters = MemoryCounters(allocations_ + 1);
  followers_.push_back(counters);
}

void MemoryLedger::follow(MemoryCounters* counters) {
  const std::lock_guard<std::mutex> lock(mutex_);
  *counters = MemoryCounters();
  followers_.push_back(counters);
}

void MemoryLedger::unsubscribe(MemoryCounters* counters) {
  const std::lock_guard<std::mutex> lock(mutex_);
  followers_.erase(std::find(followers_.begin(), followers_.end(), counters));
}

}  // namespace remat::torch_bridge

// Live bytes and their peak, for each device, since some allocation.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include <c10/core/Device.h>

#include <remat/bytes.h>

namespace remat::torch_bridge {

/// Counts allocations from the `first`-th on, and the releases of those. Not synchronised.
class MemoryCounters {
 public:
  explicit MemoryCounters(std::uint64_t first = 0) : first_(first) {}

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

}  // namespace remat::torch_bridge

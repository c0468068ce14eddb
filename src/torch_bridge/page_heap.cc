#include "torch_bridge/page_heap.h"

#include <algorithm>
#include <iterator>
#include <sys/mman.h>

namespace remat::torch_bridge {
namespace {

// Address space only: a region costs nothing before it is touched.
constexpr std::size_t kRegionBytes = std::size_t{4} << 30;

// Resident pages over bytes in use at the peak, in percent. Room for what best fit leaves between blocks;
// the promise to users is 110, and LibTorch's small blocks and scratch memory are not in here.
constexpr std::size_t kSlackPercent = 104;

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

PageHeap::~PageHeap() {
  for (const auto& [begin, bytes] : regions_) munmap(reinterpret_cast<void*>(begin), bytes);
}

void* PageHeap::allocate(std::size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (bytes > SIZE_MAX / 2) return nullptr;
  const std::size_t rounded = round_up(std::max<std::size_t>(bytes, 1), kUnit);
  const Address block = take(rounded);
  if (block == 0) return nullptr;
  if (!make_resident(block, rounded)) {
    join_free(block, rounded);
    return nullptr;
  }
  used_ += rounded;
  most_used_ = std::max(most_used_, used_);
  return reinterpret_cast<void*>(block);
}

void PageHeap::release(void* block, std::size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::size_t rounded = round_up(std::max<std::size_t>(bytes, 1), kUnit);
  used_ -= rounded;
  join_free(reinterpret_cast<Address>(block), rounded);
}

void PageHeap::release_free_pages() {
  const std::lock_guard<std::mutex> lock(mutex_);
  discard_free(pages_.bytes());
}

std::size_t PageHeap::used_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return used_;
}

std::size_t PageHeap::resident_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return pages_.bytes();
}

// ---- which addresses ----------------------------------------------------------------------------

// The smallest free range that holds `bytes`, the lowest of those; 0 if there is none and no region can
// be added.
PageHeap::Address PageHeap::take(std::size_t bytes) {
  auto found = free_sizes_.lower_bound({bytes, 0});
  if (found == free_sizes_.end()) {
    if (!add_region(bytes)) return 0;
    found = free_sizes_.lower_bound({bytes, 0});
  }
  const auto [free_bytes, begin] = *found;
  remove_free(begin, free_bytes);
  if (free_bytes > bytes) add_free(begin + bytes, free_bytes - bytes);
  return begin;
}

// Where address space is limited, only as much as the block needs.
bool PageHeap::add_region(std::size_t bytes) {
  const std::size_t needed = round_up(bytes, kHugePage);
  std::size_t size = kRegionBytes;
  Address begin = needed < size ? ResidentPages::reserve(size, /*at_once=*/false) : 0;
  if (begin == 0) begin = ResidentPages::reserve(size = needed, /*at_once=*/true);
  if (begin == 0) return false;
  regions_[begin] = size;
  // Not joined with a neighbouring region: a block lies in one.
  add_free(begin, size);
  return true;
}

void PageHeap::add_free(Address begin, std::size_t bytes) {
  free_.emplace(begin, bytes);
  free_sizes_.emplace(bytes, begin);
}

void PageHeap::remove_free(Address begin, std::size_t bytes) {
  free_.erase(begin);
  free_sizes_.erase({bytes, begin});
}

void PageHeap::join_free(Address begin, std::size_t bytes) {
  const auto& [region, region_bytes] = *std::prev(regions_.upper_bound(begin));
  if (const auto next = free_.find(begin + bytes);
      next != free_.end() && next->first < region + region_bytes) {
    const std::size_t next_bytes = next->second;
    remove_free(begin + bytes, next_bytes);
    bytes += next_bytes;
  }
  if (const auto after = free_.lower_bound(begin); after != free_.begin()) {
    const auto [previous, previous_bytes] = *std::prev(after);
    if (previous + previous_bytes == begin && previous >= region) {
      remove_free(previous, previous_bytes);
      begin = previous;
      bytes += previous_bytes;
    }
  }
  add_free(begin, bytes);
}

// ---- which pages --------------------------------------------------------------------------------

// False if the operating system refuses the pages, even in place of all free ones.
bool PageHeap::make_resident(Address begin, std::size_t bytes) {
  const std::size_t fresh = pages_.fresh_bytes(begin, begin + bytes);
  if (fresh == 0) return true;
  const std::size_t most_used = std::max(most_used_, used_ + bytes);
  const std::size_t bound = most_used / 100 * kSlackPercent + kHugePage;
  if (pages_.bytes() + fresh > bound) discard_free(pages_.bytes() + fresh - bound);
  if (pages_.touch(begin, begin + bytes)) return true;
  discard_free(pages_.bytes());
  return pages_.touch(begin, begin + bytes);
}

// Huge pages first, those of the largest ranges before others; only if they do not suffice parts of huge pages,
// which the kernel then has to split.
void PageHeap::discard_free(std::size_t most) {
  std::size_t done = 0;
  for (const std::size_t unit : {kHugePage, kUnit}) {
    for (auto range = free_sizes_.rbegin();
         range != free_sizes_.rend() && range->first >= unit && done < most; ++range) {
      const Address begin = round_up(range->second, unit);
      const Address end = (range->second + range->first) / unit * unit;
      done += pages_.discard(begin, end, most - done, unit);
    }
  }
}

}  // namespace remat::torch_bridge

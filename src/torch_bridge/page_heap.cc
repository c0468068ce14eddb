// Linux only in what it asks for: mmap, and madvise for huge pages and for giving pages back.
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

// `bytes`, a multiple of huge pages, beginning at one. nullptr if there is no such range. Memory that will
// be used at once is not mapped MAP_NORESERVE: the kernel can refuse what it will never have.
void* reserve(std::size_t bytes, int flags) {
  const std::size_t with_margin = bytes + PageHeap::kHugePage;
  void* mapped = mmap(nullptr, with_margin, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<std::uintptr_t>(mapped);
  const auto aligned = round_up(begin, PageHeap::kHugePage);
  if (aligned > begin) munmap(mapped, aligned - begin);
  const auto end = begin + with_margin, aligned_end = aligned + bytes;
  if (end > aligned_end) munmap(reinterpret_cast<void*>(aligned_end), end - aligned_end);
  // Where the kernel has no huge pages the heap works with small ones.
  madvise(reinterpret_cast<void*>(aligned), bytes, MADV_HUGEPAGE);
  return reinterpret_cast<void*>(aligned);
}

}  // namespace

PageHeap::~PageHeap() {
  for (const auto& [begin, region] : regions_) {
    munmap(reinterpret_cast<void*>(begin), region.resident.size() * kHugePage);
  }
}

void* PageHeap::allocate(std::size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (bytes > SIZE_MAX / 2) return nullptr;
  const std::size_t rounded = round_up(std::max<std::size_t>(bytes, 1), kUnit);
  const Address block = take(rounded);
  if (block == 0) return nullptr;
  used_ += rounded;
  most_used_ = std::max(most_used_, used_);
  if (const auto fresh = fresh_pages(block, rounded); fresh > 0) {
    make_room(fresh);
    touch(block, rounded);
  }
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
  for (const auto& [begin, bytes] : free_) discard(begin, bytes, resident_pages_);
}

std::size_t PageHeap::used_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return used_;
}

std::size_t PageHeap::resident_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return resident_pages_ * kHugePage;
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
  void* mapped = needed < size ? reserve(size, MAP_NORESERVE) : nullptr;
  if (mapped == nullptr) mapped = reserve(size = needed, 0);
  if (mapped == nullptr) return false;
  const auto begin = reinterpret_cast<Address>(mapped);
  regions_[begin] = {begin, std::vector<bool>(size / kHugePage)};
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
  const Region& region = region_of(begin);
  const Address region_end = region.begin + region.resident.size() * kHugePage;
  if (const auto next = free_.find(begin + bytes);
      next != free_.end() && next->first < region_end) {
    const std::size_t next_bytes = next->second;
    remove_free(begin + bytes, next_bytes);
    bytes += next_bytes;
  }
  if (const auto after = free_.lower_bound(begin); after != free_.begin()) {
    const auto [previous, previous_bytes] = *std::prev(after);
    if (previous + previous_bytes == begin && previous >= region.begin) {
      remove_free(previous, previous_bytes);
      begin = previous;
      bytes += previous_bytes;
    }
  }
  add_free(begin, bytes);
}

// ---- which pages --------------------------------------------------------------------------------

PageHeap::Region& PageHeap::region_of(Address address) {
  return std::prev(regions_.upper_bound(address))->second;
}

// Huge pages that the block would touch first.
std::size_t PageHeap::fresh_pages(Address begin, std::size_t bytes) {
  const Region& region = region_of(begin);
  const auto first = (begin - region.begin) / kHugePage;
  const auto last = (begin + bytes - 1 - region.begin) / kHugePage;
  std::size_t fresh = 0;
  for (auto page = first; page <= last; ++page) fresh += region.resident[page] ? 0 : 1;
  return fresh;
}

// Discards free pages, those of the largest ranges first, until `fresh` more stay within the limit.
void PageHeap::make_room(std::size_t fresh) {
  const std::size_t limit = most_used_ / 100 * kSlackPercent / kHugePage + 1;
  for (auto range = free_sizes_.rbegin();
       range != free_sizes_.rend() && range->first >= kHugePage && resident_pages_ + fresh > limit;
       ++range) {
    discard(range->second, range->first, resident_pages_ + fresh - limit);
  }
}

void PageHeap::touch(Address begin, std::size_t bytes) {
  Region& region = region_of(begin);
  const auto first = (begin - region.begin) / kHugePage;
  const auto last = (begin + bytes - 1 - region.begin) / kHugePage;
  for (auto page = first; page <= last; ++page) {
    resident_pages_ += region.resident[page] ? 0 : 1;
    region.resident[page] = true;
  }
}

// Hands back up to `most` of the huge pages that lie wholly in the range, the highest first.
void PageHeap::discard(Address begin, std::size_t bytes, std::size_t most) {
  Region& region = region_of(begin);
  const auto first = round_up(begin - region.begin, kHugePage) / kHugePage;
  for (auto page = (begin + bytes - region.begin) / kHugePage; page > first && most > 0; --page) {
    if (!region.resident[page - 1]) continue;
    madvise(reinterpret_cast<void*>(region.begin + (page - 1) * kHugePage), kHugePage,
            MADV_DONTNEED);
    region.resident[page - 1] = false;
    --resident_pages_;
    --most;
  }
}

}  // namespace remat::torch_bridge

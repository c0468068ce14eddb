// Linux only in what it asks for: mmap, madvise for huge pages and for giving pages back, mprotect.
#include "torch_bridge/resident_pages.h"

#include <algorithm>
#include <iterator>
#include <sys/mman.h>

namespace remat::torch_bridge {
namespace {

using Address = ResidentPages::Address;

constexpr Address round_down(Address address, std::size_t unit) { return address / unit * unit; }
constexpr Address round_up(Address address, std::size_t unit) {
  return round_down(address + unit - 1, unit);
}

void* pointer(Address address) { return reinterpret_cast<void*>(address); }

}  // namespace

Address ResidentPages::reserve(std::size_t bytes, bool at_once) {
  const std::size_t with_margin = bytes + kHugePage;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (at_once ? 0 : MAP_NORESERVE);
  void* const mapped = mmap(nullptr, with_margin, PROT_NONE, flags, -1, 0);
  if (mapped == MAP_FAILED) return 0;
  const auto begin = reinterpret_cast<Address>(mapped), aligned = round_up(begin, kHugePage);
  if (aligned > begin) munmap(mapped, aligned - begin);
  const auto end = begin + with_margin, aligned_end = aligned + bytes;
  if (end > aligned_end) munmap(pointer(aligned_end), end - aligned_end);
  // Where the kernel has no huge pages the heap works with small ones.
  madvise(pointer(aligned), bytes, MADV_HUGEPAGE);
  return aligned;
}

// Only of huge pages that are not resident in part is more than asked for taken: the kernel gives them whole.
std::vector<ResidentPages::Range> ResidentPages::fresh(Address begin, Address end) const {
  std::vector<Range> found;
  const Address last = round_up(end, kHugePage);
  Address gap = round_down(begin, kHugePage);
  auto next = ranges_.upper_bound(gap);
  if (next != ranges_.begin()) gap = std::max(gap, std::prev(next)->second);
  while (gap < last) {
    const Address gap_end = next == ranges_.end() ? last : std::min(next->first, last);
    const bool whole_first = gap % kHugePage == 0 && gap + kHugePage <= gap_end;
    const bool whole_last = gap_end % kHugePage == 0 && gap + kHugePage <= gap_end;
    const Address from = whole_first ? gap : std::max(gap, begin);
    const Address to = whole_last ? gap_end : std::min(gap_end, end);
    if (from < to) found.emplace_back(from, to);
    if (next == ranges_.end()) break;
    gap = (next++)->second;
  }
  return found;
}

std::size_t ResidentPages::fresh_bytes(Address begin, Address end) const {
  std::size_t sum = 0;
  for (const auto& [from, to] : fresh(begin, end)) sum += to - from;
  return sum;
}

bool ResidentPages::touch(Address begin, Address end) {
  for (const auto& range : fresh(begin, end)) {
    const auto bytes = range.second - range.first;
    if (mprotect(pointer(range.first), bytes, PROT_READ | PROT_WRITE) != 0) return false;
    add(range);
  }
  return true;
}

std::size_t ResidentPages::discard(Address begin, Address end, std::size_t most, std::size_t unit) {
  std::size_t sum = 0;
  while (sum < most && begin < end) {
    const auto after = ranges_.lower_bound(end);
    if (after == ranges_.begin()) break;
    const auto& [first, last] = *std::prev(after);
    if (last <= begin) break;
    const Address to = std::min(last, end);
    const std::size_t wanted = std::min<std::size_t>(most - sum, to - begin);
    const Address from = std::max({first, begin, round_down(to - wanted, unit)});
    madvise(pointer(from), to - from, MADV_DONTNEED);
    mprotect(pointer(from), to - from, PROT_NONE);
    sum += to - from;
    remove({from, to});
    end = from;
  }
  return sum;
}

void ResidentPages::add(Range range) {
  bytes_ += range.second - range.first;
  auto next = ranges_.lower_bound(range.first);
  if (next != ranges_.begin() && std::prev(next)->second == range.first) {
    range.first = std::prev(next)->first;
  }
  if (next != ranges_.end() && next->first == range.second) {
    range.second = next->second;
    ranges_.erase(next);
  }
  ranges_[range.first] = range.second;
}

// Part of one range.
void ResidentPages::remove(Range range) {
  bytes_ -= range.second - range.first;
  const auto around = std::prev(ranges_.upper_bound(range.first));
  const auto [first, last] = *around;
  ranges_.erase(around);
  if (first < range.first) ranges_[first] = range.first;
  if (range.second < last) ranges_[range.second] = last;
}

}  // namespace remat::torch_bridge

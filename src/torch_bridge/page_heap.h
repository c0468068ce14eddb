// Large blocks from huge pages, reused instead of handed back and faulted in again.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "torch_bridge/resident_pages.h"

namespace remat::torch_bridge {

/// A heap of 4 KiB units in regions of address space that asked for transparent huge pages.
///
/// A released block is joined with free neighbours and given to the next that fits, best fit first: a
/// training step that repeats itself touches few new pages. What is resident never exceeds 104 % of the
/// most that was in use at one time, give or take a few huge pages: before a block takes fresh ones beyond
/// that, free ones go back to the operating system. The rest of the address space is no data of the process (RLIMIT_DATA).
///
/// Threads: any.
/// Cost:    some 200 ns for a block and its release; the pages it touches for the first time dominate.
class PageHeap {
 public:
  static constexpr std::size_t kUnit = ResidentPages::kPage;
  static constexpr std::size_t kHugePage = ResidentPages::kHugePage;

  PageHeap() = default;
  ~PageHeap();
  PageHeap(const PageHeap&) = delete;
  PageHeap& operator=(const PageHeap&) = delete;

  /// `bytes` at an address that is a multiple of kUnit; not cleared. nullptr if the operating system has
  /// no address space left, or no memory within the process's limits.
  void* allocate(std::size_t bytes);

  /// `block` from allocate(bytes).
  void release(void* block, std::size_t bytes);

  /// Hands the pages of all free blocks back.
  void release_free_pages();

  /// In blocks that are handed out, rounded up to units.
  std::size_t used_bytes() const;
  /// In pages that may be resident: used, or free and not handed back.
  std::size_t resident_bytes() const;

 private:
  using Address = ResidentPages::Address;

  Address take(std::size_t bytes);
  bool add_region(std::size_t bytes);
  void add_free(Address begin, std::size_t bytes);
  void remove_free(Address begin, std::size_t bytes);
  void join_free(Address begin, std::size_t bytes);

  bool make_resident(Address begin, std::size_t bytes);
  void discard_free(std::size_t most);

  mutable std::mutex mutex_;
  std::map<Address, std::size_t> regions_;                // begin -> bytes
  std::map<Address, std::size_t> free_;                   // begin -> bytes
  std::set<std::pair<std::size_t, Address>> free_sizes_;  // the same, by size
  ResidentPages pages_;
  std::size_t used_ = 0, most_used_ = 0;
};

}  // namespace remat::torch_bridge

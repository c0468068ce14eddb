// Small blocks, many to a span of pages.
#pragma once

#include <array>
#include <cstddef>
#include <mutex>

#include "torch_bridge/page_heap.h"

namespace remat::torch_bridge {

/// A heap of blocks of up to kMost bytes. Blocks of one size share spans of pages, so that those of a training
/// step leave no gaps between them that only smaller ones fit; a span whose blocks are all released goes back
/// to `pages`, but for one of each size.
///
/// Sizes are rounded up to multiples of kStep, from 1 KiB on to eighths of the power of two below.
///
/// Threads: any.
/// Cost:    some 30 ns for a block and its release.
class SmallHeap {
 public:
  static constexpr std::size_t kStep = 64;  // what blocks are aligned to
  static constexpr std::size_t kMost = std::size_t{64} << 10;

  /// `pages` must outlive this heap.
  explicit SmallHeap(PageHeap& pages) : pages_(pages) {}
  ~SmallHeap();
  SmallHeap(const SmallHeap&) = delete;
  SmallHeap& operator=(const SmallHeap&) = delete;

  struct Span;
  struct Block {
    void* begin = nullptr;  ///< nullptr if `pages` has no address space left
    Span* span = nullptr;   ///< for release()
  };

  /// Needs bytes <= kMost. Not cleared.
  Block allocate(std::size_t bytes);
  void release(Block block);

 private:
  Span* add_span(std::size_t steps);
  void link(Span& span);
  void unlink(Span& span);

  std::mutex mutex_;
  PageHeap& pages_;
  std::array<Span*, kMost / kStep + 1> with_room_{};  // by steps of a block, the newest first
};

}  // namespace remat::torch_bridge

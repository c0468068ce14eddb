#include "torch_bridge/small_heap.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/check.h"

namespace remat::torch_bridge {
namespace {

// Rounding to eighths of a power of two wastes at most an eighth.
constexpr std::size_t kExactSteps = 8;

// Enough blocks in a span that its last bytes, which hold none, do not matter.
constexpr std::size_t kBlocks = 16, kLeastSpan = std::size_t{64} << 10;

std::size_t rounded_steps(std::size_t bytes) {
  const std::size_t steps =
      std::max<std::size_t>((bytes + SmallHeap::kStep - 1) / SmallHeap::kStep, 1);
  std::size_t eighth = 1;
  while (eighth * 2 * kExactSteps <= steps) eighth *= 2;
  return (steps + eighth - 1) / eighth * eighth;
}

}  // namespace

/// At the beginning of its own pages.
struct SmallHeap::Span {
  struct Free {
    Free* next;
  };

  std::size_t steps = 0, bytes = 0;  // of a block, of the whole
  std::size_t used = 0;              // blocks handed out
  std::size_t untouched = 0;         // where those begin that never were
  Free* free = nullptr;
  Span *newer = nullptr, *older = nullptr;

  bool has_room() const { return free != nullptr || untouched + steps * kStep <= bytes; }

  void* take() {
    ++used;
    if (free != nullptr) return std::exchange(free, free->next);
    auto* const pages = static_cast<char*>(static_cast<void*>(this));
    return pages + std::exchange(untouched, untouched + steps * kStep);
  }

  void put(void* block) {
    --used;
    free = new (block) Free{free};
  }
};

SmallHeap::~SmallHeap() {
  for (Span* span : with_room_) {
    while (span != nullptr) {
      Span* const older = span->older;
      pages_.release(span, span->bytes);
      span = older;
    }
  }
}

SmallHeap::Block SmallHeap::allocate(std::size_t bytes) {
  REMAT_ASSERT(bytes <= kMost);
  const std::size_t steps = rounded_steps(bytes);
  const std::lock_guard<std::mutex> lock(mutex_);
  Span* span = with_room_[steps];
  if (span == nullptr) {
    span = add_span(steps);
    if (span == nullptr) return {};
  }
  void* const begin = span->take();
  if (!span->has_room()) unlink(*span);
  return {begin, span};
}

void SmallHeap::release(Block block) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Span& span = *block.span;
  if (!span.has_room()) link(span);
  span.put(block.begin);
  const bool is_only_one = span.newer == nullptr && span.older == nullptr;
  if (span.used == 0 && !is_only_one) {
    unlink(span);
    pages_.release(&span, span.bytes);
  }
}

SmallHeap::Span* SmallHeap::add_span(std::size_t steps) {
  static_assert(sizeof(Span) <= 2 * kStep);
  const std::size_t bytes = std::max(kLeastSpan, 2 * kStep + kBlocks * steps * kStep);
  void* const pages = pages_.allocate(bytes);
  if (pages == nullptr) return nullptr;
  auto* const span = new (pages) Span();
  span->steps = steps;
  span->bytes = bytes;
  span->untouched = 2 * kStep;  // after the span itself
  link(*span);
  return span;
}

void SmallHeap::link(Span& span) {
  span.older = std::exchange(with_room_[span.steps], &span);
  span.newer = nullptr;
  if (span.older != nullptr) span.older->newer = &span;
}

void SmallHeap::unlink(Span& span) {
  (span.newer != nullptr ? span.newer->older : with_room_[span.steps]) = span.older;
  if (span.older != nullptr) span.older->newer = span.newer;
  span.newer = span.older = nullptr;
}

}  // namespace remat::torch_bridge

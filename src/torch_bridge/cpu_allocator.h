// LibTorch's CPU allocator, replaced: every block counted and, if asked for, from huge pages.
#pragma once

#include <atomic>
#include <cstdint>

#include <c10/core/Allocator.h>
#include <c10/core/StorageImpl.h>

#include "torch_bridge/memory_ledger.h"
#include "torch_bridge/page_heap.h"
#include "torch_bridge/small_heap.h"
#include "torch_bridge/torch_version.h"

namespace remat::torch_bridge {

/// Blocks with a header in front of them, from the allocator that was there before; once huge pages are
/// asked for, from `PageHeap` as long as it has address space, small ones by way of `SmallHeap`. Asks the thread's AllocationGate
/// before each. Reports to LibTorch's profiler as LibTorch's own does.
///
/// What is counted, and what gates are told, are the bytes that LibTorch asks for. A block takes 64 more, and
/// what its allocator rounds up.
class CpuAllocator final : public c10::Allocator {
 public:
  /// Takes its predecessor's place for CPU tensors, on the first call; more calls do nothing. Blocks made
  /// before go back where they came from. `operation` is what the error says could not be done.
  /// Errors: Error if another allocator has been installed with a higher priority than 1.
  /// Threads: any; LibTorch itself does not lock, threads that allocate meanwhile take one or the other.
  static void install_counting(const char* operation);
  /// The same, and from then on huge pages.
  static void install_huge_pages();
  /// nullptr before both.
  static CpuAllocator* installed();
  /// The number of the allocation that made the memory of `storage`; 0 if that is not from here.
  static std::uint64_t allocation_of(const c10::StorageImpl& storage);

#if REMAT_TORCH_AT_LEAST(2, 3)
  c10::DataPtr allocate(std::size_t bytes) override { return make(bytes); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
#else
  c10::DataPtr allocate(std::size_t bytes) const override {
    return const_cast<CpuAllocator*>(this)->make(bytes);
  }
#endif
  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  MemoryLedger& ledger() { return ledger_; }
  PageHeap& heap() { return heap_; }

 private:
  explicit CpuAllocator(c10::Allocator* previous);
  static CpuAllocator& instance();
  c10::DataPtr make(std::size_t bytes);
  static void release(void* data);

  struct Block;
  struct Header;
  Block make_block(std::size_t bytes);
  Block block_of_huge_pages(std::size_t bytes);
  Block block_of_previous(std::size_t bytes);

  c10::Allocator* const previous_;
  const bool previous_is_libtorchs_;
  std::atomic<bool> huge_pages_{false};
  MemoryLedger ledger_{c10::kCPU};
  PageHeap heap_;
  SmallHeap small_{heap_};
};

}  // namespace remat::torch_bridge

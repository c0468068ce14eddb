// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130.
#include "torch_bridge/cpu_allocator.h"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <new>

#include <c10/core/CPUAllocator.h>
#include <c10/core/alignment.h>
#include <c10/core/impl/alloc_cpu.h>

#include <remat/error.h>
#include <remat/memory.h>

#include "base/check.h"
#include "torch_bridge/allocation_gate.h"

namespace remat::torch_bridge {
namespace {

// Above LibTorch's own (0), so that what it installs later does not displace ours.
constexpr std::uint8_t kPriority = 1;

// Of the size that keeps a block's alignment.
constexpr std::size_t kHeaderBytes = c10::gAlignment;

std::atomic<bool> is_installed{false};

}  // namespace

// ---- CpuAllocator -------------------------------------------------------------------------------

/// Memory of another allocator's.
struct CpuAllocator::Block {
  void* begin;
  void* context;              // what `deleter` takes; of small_ the span
  c10::DeleterFnPtr deleter;  // nullptr: from heap_ or small_
  bool reports_itself;        // to LibTorch's profiler
};

/// In front of what is handed out.
struct CpuAllocator::Header {
  std::size_t bytes;         // asked for
  std::uint64_t allocation;  // its number
  Block block;

  static Header* of(void* data) {
    void* const header = static_cast<char*>(data) - kHeaderBytes;
    return static_cast<Header*>(header);
  }
};

CpuAllocator::CpuAllocator(c10::Allocator* previous)
    : previous_(previous), previous_is_libtorchs_(previous == c10::GetDefaultCPUAllocator()) {
  static_assert(sizeof(Header) <= kHeaderBytes);
}

// Never destroyed: tensors of static lifetime come back to it.
CpuAllocator& CpuAllocator::instance() {
  static auto* const allocator = new CpuAllocator(c10::GetCPUAllocator());
  return *allocator;
}

void CpuAllocator::install_counting(const char* operation) {
  static std::once_flag once;
  std::call_once(once, [] { c10::SetCPUAllocator(&instance(), kPriority); });
  REMAT_CHECK(c10::GetCPUAllocator() == &instance(), Error,
              "{}: another CPU allocator has been installed with a higher priority "
              "(c10::SetCPUAllocator); install only one",
              operation);
  is_installed = true;
}

void CpuAllocator::install_huge_pages() {
  install_counting("remat::use_huge_page_allocator");
  instance().huge_pages_ = true;
}

CpuAllocator* CpuAllocator::installed() { return is_installed ? &instance() : nullptr; }

std::uint64_t CpuAllocator::allocation_of(const c10::StorageImpl& storage) {
  const c10::DataPtr& data = storage.data_ptr();
  if (data.get_deleter() != &release || data.get_context() == nullptr) return 0;
  return Header::of(data.get_context())->allocation;
}

CpuAllocator::Block CpuAllocator::make_block(std::size_t bytes) {
  // The allocators below have the messages for sizes that cannot be.
  if (bytes > PTRDIFF_MAX - kHeaderBytes) return block_of_previous(bytes);
  const std::size_t with_header = bytes + kHeaderBytes;
  if (huge_pages_.load(std::memory_order_relaxed)) {
    if (const Block block = block_of_huge_pages(with_header); block.begin != nullptr) return block;
  }
  return block_of_previous(with_header);
}

CpuAllocator::Block CpuAllocator::block_of_huge_pages(std::size_t bytes) {
  if (bytes <= SmallHeap::kMost) {
    const SmallHeap::Block block = small_.allocate(bytes);
    return {block.begin, block.span, nullptr, false};
  }
  void* const block = heap_.allocate(bytes);
  return {block, block, nullptr, false};
}

CpuAllocator::Block CpuAllocator::block_of_previous(std::size_t bytes) {
  if (previous_is_libtorchs_) {
    // What it allocates with: the reporting is done here, without the header.
    void* const block = c10::alloc_cpu(bytes);
    return {block, block, &c10::free_cpu, false};
  }
  c10::DataPtr block = previous_->allocate(bytes);
  void* const begin = block.get();
  const c10::DeleterFnPtr deleter = block.get_deleter();
  return {begin, block.release_context(), deleter, true};
}

c10::DataPtr CpuAllocator::make(std::size_t bytes) {
  const c10::Device cpu(c10::kCPU);
  if (bytes == 0) return {nullptr, nullptr, &release, cpu};
  const auto counted = static_cast<std::int64_t>(bytes);
  const AllocationTurn turn(cpu, counted);
  const Block block = make_block(bytes);
  void* const data = static_cast<char*>(block.begin) + kHeaderBytes;
  new (Header::of(data)) Header{bytes, ledger_.add(counted), block};
  if (!block.reports_itself) c10::profiledCPUMemoryReporter().New(data, bytes);
  return {data, data, &release, cpu};
}

void CpuAllocator::release(void* data) {
  if (data == nullptr) return;
  CpuAllocator& allocator = instance();
  const Header header = *Header::of(data);
  const Block& block = header.block;
  if (!block.reports_itself) c10::profiledCPUMemoryReporter().Delete(data);
  allocator.ledger_.remove(header.allocation, static_cast<std::int64_t>(header.bytes));
  const std::size_t with_header = header.bytes + kHeaderBytes;
  if (block.deleter != nullptr) {
    block.deleter(block.context);
  } else if (with_header <= SmallHeap::kMost) {
    allocator.small_.release({block.begin, static_cast<SmallHeap::Span*>(block.context)});
  } else {
    allocator.heap_.release(block.begin, with_header);
  }
}

}  // namespace remat::torch_bridge

namespace remat {

void use_huge_page_allocator() { torch_bridge::CpuAllocator::install_huge_pages(); }

std::optional<Bytes> live_cpu_bytes() {
  auto* const allocator = torch_bridge::CpuAllocator::installed();
  if (allocator == nullptr) return std::nullopt;
  return Bytes(allocator->ledger().live_bytes());
}

}  // namespace remat

// Tried on LibTorch 1.13.1 and 2.6.0.
#include "torch_bridge/cpu_allocator.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>

#include <c10/core/CPUAllocator.h>
#include <c10/core/alignment.h>
#include <c10/core/impl/alloc_cpu.h>

#include <remat/error.h>
#include <remat/memory.h>

#include "base/check.h"

namespace remat::torch_bridge {
namespace {

// From here on glibc's malloc maps and unmaps, or trims and faults in again.
constexpr std::size_t kLargeBytes = std::size_t{64} << 10;

// Above LibTorch's own (0), so that what it installs later does not displace ours.
constexpr std::uint8_t kPriority = 1;

// In front of every block, of the size that keeps the block's alignment.
struct alignas(c10::gAlignment) Header {
  std::size_t bytes;         // asked for
  std::uint64_t allocation;  // its number
  bool in_heap;
};
static_assert(sizeof(Header) == c10::gAlignment);

Header* header_of(void* data) { return static_cast<Header*>(data) - 1; }

std::atomic<bool> is_installed{false};

}  // namespace

// ---- CpuLedger ----------------------------------------------------------------------------------

std::uint64_t CpuLedger::add(std::int64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  tell(++allocations_, bytes);
  return allocations_;
}

void CpuLedger::remove(std::uint64_t allocation, std::int64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  tell(allocation, -bytes);
}

void CpuLedger::tell(std::uint64_t allocation, std::int64_t bytes) {
  live_ += bytes;
  for (auto* counters : followers_) {
    if (counters->counts(allocation)) counters->add(c10::kCPU, bytes);
  }
}

std::int64_t CpuLedger::live_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return live_;
}

void CpuLedger::subscribe(MemoryCounters* counters) {
  const std::lock_guard<std::mutex> lock(mutex_);
  *counters = MemoryCounters(allocations_ + 1);
  followers_.push_back(counters);
}

void CpuLedger::unsubscribe(MemoryCounters* counters) {
  const std::lock_guard<std::mutex> lock(mutex_);
  followers_.erase(std::find(followers_.begin(), followers_.end(), counters));
}

// ---- CpuAllocator -------------------------------------------------------------------------------

// Never destroyed: tensors of static lifetime come back to it.
CpuAllocator& CpuAllocator::instance() {
  static auto* const allocator = new CpuAllocator;
  return *allocator;
}

void CpuAllocator::install() {
  static std::once_flag once;
  std::call_once(once, [] { c10::SetCPUAllocator(&instance(), kPriority); });
  REMAT_CHECK(c10::GetCPUAllocator() == &instance(), Error,
              "remat::use_huge_page_allocator: another CPU allocator has been installed with a higher "
              "priority (c10::SetCPUAllocator); install only one");
  is_installed = true;
}

CpuAllocator* CpuAllocator::installed() { return is_installed ? &instance() : nullptr; }

c10::DataPtr CpuAllocator::make(std::size_t bytes) {
  const c10::Device cpu(c10::kCPU);
  if (bytes == 0) return {nullptr, nullptr, &release, cpu};
  // LibTorch's own allocator has the message for sizes that cannot be.
  const bool sane = bytes <= PTRDIFF_MAX - sizeof(Header);
  const std::size_t with_header = sane ? bytes + sizeof(Header) : bytes;
  void* block = sane && bytes >= kLargeBytes ? heap_.allocate(with_header) : nullptr;
  const bool in_heap = block != nullptr;
  if (!in_heap) block = c10::alloc_cpu(with_header);
  auto* header = new (block) Header{bytes, ledger_.add(static_cast<std::int64_t>(bytes)), in_heap};
  void* data = header + 1;
  c10::profiledCPUMemoryReporter().New(data, bytes);
  return {data, data, &release, cpu};
}

void CpuAllocator::release(void* data) {
  if (data == nullptr) return;
  CpuAllocator& allocator = instance();
  c10::profiledCPUMemoryReporter().Delete(data);
  const Header header = *header_of(data);
  allocator.ledger_.remove(header.allocation, static_cast<std::int64_t>(header.bytes));
  if (header.in_heap) {
    allocator.heap_.release(header_of(data), header.bytes + sizeof(Header));
  } else {
    c10::free_cpu(header_of(data));
  }
}

}  // namespace remat::torch_bridge

namespace remat {

void use_huge_page_allocator() { torch_bridge::CpuAllocator::install(); }

std::optional<Bytes> live_cpu_bytes() {
  auto* const allocator = torch_bridge::CpuAllocator::installed();
  if (allocator == nullptr) return std::nullopt;
  return Bytes(allocator->ledger().live_bytes());
}

}  // namespace remat

// Tried on LibTorch 1.13.1, with a device that is made up.
#include "torch_bridge/counted_allocator.h"

#include <utility>

#include <remat/error.h>

#include "base/check.h"
#include "torch_bridge/allocation_gate.h"

namespace remat::torch_bridge {
namespace {

// Above that of backends (0), so that what they install later does not displace ours.
constexpr std::uint8_t kPriority = 1;

/// nullptr: none.
c10::Allocator* allocator_of(c10::DeviceType type) {
  try {
    return c10::GetAllocator(type);
  } catch (const c10::Error&) {
    return nullptr;
  }
}

}  // namespace

/// Memory of the allocator below.
struct CountedAllocator::Block {
  c10::DataPtr memory;
  MemoryLedger& ledger;
  std::int64_t bytes;
  std::uint64_t allocation;  // its number
};

// Never destroyed: tensors of static lifetime come back to them.
CountedAllocator& CountedAllocator::install(c10::DeviceType type, const char* operation) {
  static auto& mutex = *new std::mutex();
  static auto& installed = *new std::map<c10::DeviceType, CountedAllocator*>();
  const std::lock_guard<std::mutex> lock(mutex);
  CountedAllocator*& ours = installed[type];
  if (ours == nullptr) {
    c10::Allocator* const previous = allocator_of(type);
    REMAT_CHECK(previous != nullptr, Error,
                "{}: LibTorch has no allocator for {}, whose memory therefore cannot be counted",
                operation, c10::DeviceTypeName(type, true));
    ours = new CountedAllocator(previous);
    c10::SetAllocator(type, ours, kPriority);
  }
  REMAT_CHECK(allocator_of(type) == ours, Error,
              "{}: another allocator for {} has been installed with a higher priority (c10::SetAllocator); "
              "install only one",
              operation, c10::DeviceTypeName(type, true));
  return *ours;
}

MemoryLedger& CountedAllocator::ledger_of(c10::Device device) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::unique_ptr<MemoryLedger>& ledger = ledgers_[device.index()];
  if (ledger == nullptr) ledger = std::make_unique<MemoryLedger>(device);
  return *ledger;
}

c10::DataPtr CountedAllocator::make(std::size_t bytes) {
  if (bytes == 0) return previous_->allocate(0);
  const auto counted = static_cast<std::int64_t>(bytes);
  // Before it has been allocated, that is where it will be.
  c10::DataPtr none = previous_->allocate(0);
  const AllocationTurn turn(none.device(), counted);
  c10::DataPtr memory = previous_->allocate(bytes);
  const c10::Device device = memory.device();
  void* const data = memory.get();
  MemoryLedger& ledger = ledger_of(device);
  auto block = std::make_unique<Block>(Block{std::move(memory), ledger, counted, 0});
  block->allocation = ledger.add(counted);
  return {data, block.release(), &release, device};
}

void CountedAllocator::release(void* block) {
  const std::unique_ptr<Block> gone(static_cast<Block*>(block));
  gone->ledger.remove(gone->allocation, gone->bytes);
}

}  // namespace remat::torch_bridge

// The allocator of a kind of device, replaced: every block counted, gates asked before.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include <c10/core/Allocator.h>
#include <c10/core/StorageImpl.h>

#include "torch_bridge/memory_ledger.h"
#include "torch_bridge/torch_version.h"

namespace remat::torch_bridge {

/// For devices whose backends allocate with what c10::GetAllocator has for them. Those of CUDA do not
/// (cuda_ledger.h); the CPU has one that can do more (cpu_allocator.h).
class CountedAllocator final : public c10::Allocator {
 public:
  /// Takes its predecessor's place for `type`, on the first call; more calls do nothing. Blocks made before go back
  /// where they came from, uncounted. `operation` is what the error says could not be done.
  /// Errors: Error if the devices have no allocator, or one of a higher priority than 1.
  static CountedAllocator& install(c10::DeviceType type, const char* operation);

#if REMAT_TORCH_AT_LEAST(2, 3)
  c10::DataPtr allocate(std::size_t bytes) override { return make(bytes); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    previous_->copy_data(to, from, bytes);
  }
#else
  c10::DataPtr allocate(std::size_t bytes) const override {
    return const_cast<CountedAllocator*>(this)->make(bytes);
  }
#endif

  /// Whether the memory of `storage` is from here.
  static bool made(const c10::StorageImpl& storage) {
    return storage.data_ptr().get_deleter() == &release;
  }

  /// Of one device of the kind. Stays where it is.
  MemoryLedger& ledger_of(c10::Device device);

 private:
  struct Block;

  explicit CountedAllocator(c10::Allocator* previous) : previous_(previous) {}
  c10::DataPtr make(std::size_t bytes);
  static void release(void* block);

  c10::Allocator* const previous_;
  std::mutex mutex_;
  std::map<c10::DeviceIndex, std::unique_ptr<MemoryLedger>> ledgers_;
};

}  // namespace remat::torch_bridge

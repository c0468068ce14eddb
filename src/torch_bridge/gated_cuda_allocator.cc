#include "torch_bridge/torch_version.h"

#if REMAT_TORCH_HAS_CUDA && REMAT_TORCH_AT_LEAST(2, 11)

#include "torch_bridge/allocation_gate.h"
#include "torch_bridge/gated_cuda_allocator.h"

namespace remat::torch_bridge {

// Never destroyed: tensors of static lifetime come back to it.
void GatedCudaAllocator::install() {
  static const bool installed = [] {
    auto& current = c10::cuda::CUDACachingAllocator::allocator;
    auto* const ours = new GatedCudaAllocator(*current.load());
    current.store(ours);
    c10::SetAllocator(c10::kCUDA, ours, 1);
    return true;
  }();
  static_cast<void>(installed);
}

c10::DataPtr GatedCudaAllocator::allocate(std::size_t bytes) {
  if (bytes == 0) return to_.allocate(0);
  const AllocationTurn turn(c10::Device(c10::kCUDA, c10::cuda::current_device()),
                            static_cast<std::int64_t>(bytes));
  return to_.allocate(bytes);
}

}  // namespace remat::torch_bridge

#endif

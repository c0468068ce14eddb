// MemoryTracker on a CUDA device, beside the counts of the device's own allocator.
#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/memory.h>

#include "tests/testing/cuda.h"
#include "tests/testing/torch_versions.h"

#if REMAT_TESTING_TORCH_AT_LEAST(2, 11)
#include <c10/core/CachingDeviceAllocator.h>
#endif

namespace remat {
namespace {

using testing::cuda_leaf;
using testing::kFirstCuda;

at::Tensor chain(at::Tensor x, bool checkpointed) {
  const auto layer = [](const at::Tensor& t) { return t.sin().cos().tanh().sin(); };
  for (int i = 0; i < 6; ++i) x = checkpointed ? checkpoint(layer, x) : layer(x);
  return x.sum();
}

class CudaMemory : public testing::OnCuda<::testing::Test> {};

TEST_F(CudaMemory, OfARegionsActivationsIsSaved) {
  MemoryTracker tracker;
  const at::Tensor x = cuda_leaf({1024, 1024});
  chain(x, false).backward();  // makes the gradient
  const auto peak = [&](bool checkpointed) {
    tracker.reset_peak();
    const Bytes before = tracker.live_bytes(kFirstCuda);
    chain(x, checkpointed).backward();
    EXPECT_EQ(tracker.live_bytes(kFirstCuda), before) << "leaks";
    return (tracker.peak_bytes(kFirstCuda) - before).count() >> 20;  // in MiB
  };
  const auto plain = peak(false), checkpointed = peak(true);
  EXPECT_GE(plain,
            20 * 4);  // what 24 operators save, `x` and some results of the last ones left out
  EXPECT_LE(checkpointed, 12 * 4);  // the regions' inputs, one region's activations and gradients
}

#if REMAT_TESTING_TORCH_AT_LEAST(2, 11)
TEST_F(CudaMemory, IsWhatTheAllocatorCounts) {
  auto* allocator = c10::getDeviceAllocator(c10::kCUDA);
  const auto counts = [&] { return allocator->getDeviceStats(0).allocated_bytes[0]; };
  const at::Tensor x = cuda_leaf({512, 512});
  chain(x, true).backward();
  MemoryTracker tracker;
  allocator->resetPeakStats(0);
  const auto before = counts().current;
  chain(x, true).backward();
  const at::Tensor kept = torch::ones({1000}, at::TensorOptions(kFirstCuda));
  EXPECT_EQ(tracker.peak_bytes(kFirstCuda).count(), counts().peak - before);
  EXPECT_EQ(tracker.live_bytes(kFirstCuda).count(), counts().current - before);
  EXPECT_GT(tracker.peak_bytes(kFirstCuda), tracker.live_bytes(kFirstCuda));
}
#endif

}  // namespace
}  // namespace remat

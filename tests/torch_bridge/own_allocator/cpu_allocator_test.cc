// use_huge_page_allocator(): the process's tensors in remat's allocator. A program of its own: there is no
// way back.
#include "torch_bridge/cpu_allocator.h"

#include <condition_variable>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include <c10/core/CPUAllocator.h>
#include <c10/core/alignment.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/torch.h>

#include <remat/error.h>
#include <remat/memory.h>

#include "tests/testing/torch_versions.h"

namespace remat {
namespace {

using torch_bridge::CpuAllocator;

constexpr Bytes kKiB(1024);
constexpr std::int64_t kLarge = 300;  // KiB: from the heap of pages

at::Tensor kibibytes(std::int64_t count) { return torch::empty({count * 1024}, at::kByte); }

// From LibTorch's own allocator, small and large.
struct Older {
  at::Tensor small = torch::full({64}, 1.5F), large = torch::full({100'000}, 2.5F);
};

class HugePageAllocator : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    EXPECT_EQ(live_cpu_bytes(), std::nullopt);
    older_.emplace();
    use_huge_page_allocator();
    use_huge_page_allocator();
  }
  static void TearDownTestSuite() { older_.reset(); }
  Bytes live_before_ = *live_cpu_bytes();
  Bytes live() const { return *live_cpu_bytes() - live_before_; }

  static std::optional<Older> older_;
};
std::optional<Older> HugePageAllocator::older_;

TEST_F(HugePageAllocator, CountsBytesAskedFor) {
  at::Tensor small = torch::empty({13}, at::kByte), large = kibibytes(kLarge);
  EXPECT_EQ(live(), kKiB * kLarge + Bytes(13));
  small.reset();
  EXPECT_EQ(live(), kKiB * kLarge);
  large.reset();
  EXPECT_EQ(live(), Bytes(0));
}

TEST_F(HugePageAllocator, AlignsAsLibTorchDoes) {
  for (const std::int64_t bytes : {1, 100, 65535, 65536, 65537, 5'000'000}) {
    const at::Tensor tensor = torch::empty({bytes}, at::kByte);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) % c10::gAlignment, 0U) << bytes;
  }
}

TEST_F(HugePageAllocator, TakesLargeBlocksFromItsHeapAndGivesThemBack) {
  auto& heap = CpuAllocator::installed()->heap();
  const auto used = heap.used_bytes();
  at::Tensor large = kibibytes(kLarge);
  EXPECT_GT(heap.used_bytes(), used);
  large.reset();
  EXPECT_EQ(heap.used_bytes(), used);
}

TEST_F(HugePageAllocator, ReleasesOnAnotherThread) {
  at::Tensor small = kibibytes(1), large = kibibytes(kLarge);
  std::thread([&] {
    small.reset();
    large.reset();
  }).join();
  EXPECT_EQ(live(), Bytes(0));
}

TEST_F(HugePageAllocator, CountsEveryThread) {
  const MemoryTracker tracker;
  std::vector<at::Tensor> made(4);
  std::vector<std::thread> threads;
  for (auto& tensor : made) {
    threads.emplace_back([&tensor] {
      for (int i = 0; i < 1000; ++i) tensor = kibibytes(i % 100 + 1);
      tensor = kibibytes(kLarge);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(tracker.live_bytes(), kKiB * kLarge * 4);
  EXPECT_EQ(live(), kKiB * kLarge * 4);
}

TEST_F(HugePageAllocator, LeavesOlderBlocksToTheirAllocator) {
  EXPECT_EQ(older_->small.sum().item<float>(), 96);
  EXPECT_EQ(older_->large.sum().item<float>(), 250'000);
  const auto before = live();
  older_->large.reset();
  older_->small.resize_({200'000});
  EXPECT_EQ(live(), before) << "the storage resizes with the allocator that it came from";
  older_->small.reset();
  EXPECT_EQ(live(), before);
}

TEST_F(HugePageAllocator, HasEmptyTensors) {
  const at::Tensor empty = torch::empty({0});
  EXPECT_EQ(empty.data_ptr(), nullptr);
  EXPECT_EQ(live(), Bytes(0));
  auto* allocator = c10::GetCPUAllocator();
  allocator->raw_deallocate(allocator->raw_allocate(0));
}

TEST_F(HugePageAllocator, FailsAsLibTorchDoesOnHugeSizes) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer ends the process where malloc would fail";
#endif
  const auto message = [](std::int64_t bytes) -> std::string {
    try {
      torch::empty({bytes}, at::kByte);
    } catch (const c10::Error& error) {
      return error.what_without_backtrace();
    }
    return "no error";
  };
  EXPECT_THAT(message(std::int64_t{1} << 60), ::testing::HasSubstr("can't allocate memory"));
  EXPECT_THAT(message(std::numeric_limits<std::int64_t>::max()),
              ::testing::HasSubstr("can't allocate memory"));
  EXPECT_EQ(live(), Bytes(0));
}

TEST_F(HugePageAllocator, HasTheRawInterface) {
  auto* allocator = c10::GetCPUAllocator();
  EXPECT_EQ(allocator, CpuAllocator::installed());
  void* block = allocator->raw_allocate(1000);
  std::memset(block, 1, 1000);
  EXPECT_EQ(live(), Bytes(1000));
  allocator->raw_deallocate(block);
  EXPECT_EQ(live(), Bytes(0));
}

TEST_F(HugePageAllocator, TrackersCountTheirLifetime) {
  at::Tensor before = kibibytes(2);
  MemoryTracker outer;
  const at::Tensor a = kibibytes(kLarge);
  const MemoryTracker inner;
  before.reset();
  { const at::Tensor b = kibibytes(1); }
  EXPECT_EQ(outer.live_bytes(), kKiB * kLarge);
  EXPECT_EQ(outer.peak_bytes(), kKiB * (kLarge + 1));
  EXPECT_EQ(inner.live_bytes(), Bytes(0));
  EXPECT_EQ(inner.peak_bytes(), kKiB);
  outer.reset_peak();
  EXPECT_EQ(outer.peak_bytes(), kKiB * kLarge);
  EXPECT_EQ(outer.live_bytes(c10::Device(c10::kCUDA, 0)), Bytes(0));
}

TEST_F(HugePageAllocator, TrackersLeaveTheProfilersSlotAlone) {
  const c10::DebugInfoGuard profiler(c10::DebugInfoKind::PROFILER_STATE,
                                     std::make_shared<testing::ForeignMemoryReporter>());
  const MemoryTracker tracker;
  const at::Tensor a = kibibytes(1);
  EXPECT_EQ(tracker.live_bytes(), kKiB);
}

TEST_F(HugePageAllocator, StepsAreBitIdentical) {
  const auto step = [] {
    torch::manual_seed(3);
    const at::Tensor x = torch::randn({64, 700}, torch::requires_grad());
    const at::Tensor w = torch::randn({700, 700}, torch::requires_grad());
    torch::gelu(x.matmul(w)).softmax(1).square().sum().backward();
    return std::make_pair(x.grad().clone(), w.grad().clone());
  };
  const auto first = step(), second = step();
  EXPECT_TRUE(torch::equal(first.first, second.first));
  EXPECT_TRUE(torch::equal(first.second, second.second));
}

}  // namespace
}  // namespace remat

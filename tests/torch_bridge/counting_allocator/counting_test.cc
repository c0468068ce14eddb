// CpuAllocator without huge pages: LibTorch's blocks, counted. A program of its own: there is no way back.
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include <c10/core/CPUAllocator.h>
#include <c10/core/alignment.h>
#include <torch/torch.h>

#include <remat/error.h>
#include <remat/memory.h>

#include "torch_bridge/cpu_allocator.h"
#include "torch_bridge/torch_version.h"

namespace remat {
namespace {

using torch_bridge::CpuAllocator;

constexpr Bytes kKiB(1024);

at::Tensor kibibytes(std::int64_t count) { return torch::empty({count * 1024}, at::kByte); }

void install_counting() { CpuAllocator::install_counting("test"); }

class CountingAllocator : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { install_counting(); }
  Bytes live_before_ = *live_cpu_bytes();
  Bytes live() const { return *live_cpu_bytes() - live_before_; }
};

TEST_F(CountingAllocator, TakesNoBlockFromHugePages) {
  const at::Tensor small = kibibytes(1), large = kibibytes(5000);
  EXPECT_EQ(CpuAllocator::installed()->heap().used_bytes(), 0U);
  EXPECT_EQ(CpuAllocator::installed()->heap().resident_bytes(), 0U);
}

TEST_F(CountingAllocator, CountsBytesAskedFor) {
  at::Tensor small = torch::empty({13}, at::kByte), large = kibibytes(5000);
  EXPECT_EQ(live(), kKiB * 5000 + Bytes(13));
  const at::Tensor view = large.narrow(0, 5, 100), empty = torch::empty({0});
  EXPECT_EQ(live(), kKiB * 5000 + Bytes(13));
  small.resize_({113});
  EXPECT_EQ(live(), kKiB * 5000 + Bytes(113));
  small.reset();
  EXPECT_EQ(live(), kKiB * 5000);
  large.reset();
  EXPECT_EQ(live(), kKiB * 5000) << "the view holds it";
}

TEST_F(CountingAllocator, CountsEveryThreadExactly) {
  const MemoryTracker tracker;
  std::vector<at::Tensor> made(4);
  std::vector<std::thread> threads;
  for (auto& tensor : made) {
    threads.emplace_back([&tensor] {
      for (int i = 0; i < 500; ++i) tensor = kibibytes(i % 100 + 1);
      tensor = kibibytes(300);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(live(), kKiB * 1200);
  EXPECT_EQ(tracker.live_bytes(), kKiB * 1200);
}

TEST_F(CountingAllocator, AlignsAsLibTorchDoes) {
  for (const std::int64_t bytes : {1, 100, 65535, 65536, 5'000'000}) {
    const at::Tensor tensor = torch::empty({bytes}, at::kByte);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) % c10::gAlignment, 0U) << bytes;
  }
}

TEST_F(CountingAllocator, IsInstalledOnce) {
  auto* const installed = c10::GetCPUAllocator();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(install_counting);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(c10::GetCPUAllocator(), installed);
  EXPECT_EQ(CpuAllocator::installed(), installed);
}

// In processes of their own: what is installed stays so.
class CpuAllocatorInstall : public ::testing::Test {
 protected:
  void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

[[noreturn]] void exit_if(bool expected) { std::exit(expected ? 0 : 1); }

TEST_F(CpuAllocatorInstall, HugePagesComeOnAfterCounting) {
  EXPECT_EXIT(
      {
        install_counting();
        at::Tensor counted = kibibytes(300);
        use_huge_page_allocator();
        install_counting();  // does not take them away
        auto& heap = CpuAllocator::installed()->heap();
        at::Tensor in_heap = kibibytes(300);
        const bool both = heap.used_bytes() > 0 && live_cpu_bytes() == kKiB * 600;
        counted.reset();
        const bool one = heap.used_bytes() > 0 && live_cpu_bytes() == kKiB * 300;
        in_heap.reset();
        exit_if(both && one && heap.used_bytes() == 0 && live_cpu_bytes() == Bytes(0));
      },
      ::testing::ExitedWithCode(0), "");
}

/// Somebody else's, which hands out what it does not own itself.
class ForeignAllocator final : public c10::Allocator {
 public:
  int live = 0;

#if REMAT_TORCH_AT_LEAST(2, 3)
  c10::DataPtr allocate(std::size_t bytes) override { return make(bytes); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
#else
  c10::DataPtr allocate(std::size_t bytes) const override {
    return const_cast<ForeignAllocator*>(this)->make(bytes);
  }
#endif

 private:
  struct Owner {
    ForeignAllocator* allocator;
    std::vector<char> bytes;
  };
  c10::DataPtr make(std::size_t bytes) {
    auto* const owner = new Owner{this, std::vector<char>(bytes)};
    ++live;
    return {owner->bytes.data(), owner, &release, c10::Device(c10::kCPU)};
  }
  static void release(void* context) {
    const std::unique_ptr<Owner> owner(static_cast<Owner*>(context));
    --owner->allocator->live;
  }
};

TEST_F(CpuAllocatorInstall, CountsTheBlocksOfWhoeverWasThere) {
  EXPECT_EXIT(
      {
        static ForeignAllocator foreign;
        c10::SetCPUAllocator(&foreign, 1);
        install_counting();
        at::Tensor tensor = torch::full({1000}, 2.F);
        const bool counted = foreign.live == 1 && live_cpu_bytes() == Bytes(4000);
        const bool works = tensor.sum().item<float>() == 2000;
        tensor.reset();
        exit_if(counted && works && foreign.live == 0 && live_cpu_bytes() == Bytes(0));
      },
      ::testing::ExitedWithCode(0), "");
}

TEST_F(CpuAllocatorInstall, RefusesBesideOneOfHigherPriority) {
  EXPECT_EXIT(
      {
        static ForeignAllocator foreign;
        c10::SetCPUAllocator(&foreign, 2);
        std::string text;
        try {
          install_counting();
        } catch (const Error& error) {
          text = error.what();
        }
        exit_if(text ==
                    "test: another CPU allocator has been installed with a higher priority "
                    "(c10::SetCPUAllocator); install only one" &&
                live_cpu_bytes() == std::nullopt);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace remat

// PageHeap: large blocks that are reused, within a bound on what is resident.
#include "torch_bridge/page_heap.h"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

namespace remat::torch_bridge {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST(PageHeap, ReusesWhatWasReleased) {
  PageHeap heap;
  void* first = heap.allocate(10 * kMiB);
  heap.release(first, 10 * kMiB);
  const auto resident = heap.resident_bytes();
  void* second = heap.allocate(10 * kMiB);
  EXPECT_EQ(second, first);
  EXPECT_EQ(heap.resident_bytes(), resident);
  heap.release(second, 10 * kMiB);
  EXPECT_EQ(heap.used_bytes(), 0U);
}

TEST(PageHeap, JoinsNeighbours) {
  PageHeap heap;
  void* blocks[3];
  for (auto& block : blocks) block = heap.allocate(4 * kMiB);
  for (const int i : {0, 2, 1}) heap.release(blocks[i], 4 * kMiB);
  void* joined = heap.allocate(12 * kMiB);
  EXPECT_EQ(joined, blocks[0]);
  EXPECT_EQ(heap.resident_bytes(), 12 * kMiB);
}

TEST(PageHeap, TakesTheSmallestRangeThatFits) {
  PageHeap heap;
  void* large = heap.allocate(8 * kMiB);
  void* between = heap.allocate(kMiB);
  void* small = heap.allocate(2 * kMiB);
  void* last = heap.allocate(kMiB);
  heap.release(large, 8 * kMiB);
  heap.release(small, 2 * kMiB);
  EXPECT_EQ(heap.allocate(2 * kMiB), small);
  EXPECT_EQ(heap.allocate(8 * kMiB), large);
  EXPECT_NE(between, last);
}

TEST(PageHeap, RoundsToUnitsAndTakesAnySize) {
  PageHeap heap;
  void* tiny = heap.allocate(0);
  ASSERT_NE(tiny, nullptr);
  EXPECT_EQ(heap.used_bytes(), PageHeap::kUnit);
  void* odd = heap.allocate(PageHeap::kUnit + 1);
  EXPECT_EQ(heap.used_bytes(), 3 * PageHeap::kUnit);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(odd) % PageHeap::kUnit, 0U);
  heap.release(tiny, 0);
  heap.release(odd, PageHeap::kUnit + 1);
  EXPECT_EQ(heap.used_bytes(), 0U);
}

TEST(PageHeap, HasBlocksLargerThanARegion) {
  PageHeap heap;
  const std::size_t bytes = std::size_t{5} << 30;
  auto* block = static_cast<char*>(heap.allocate(bytes));
  ASSERT_NE(block, nullptr);
  block[0] = block[bytes - 1] = 1;
  heap.release(block, bytes);
}

TEST(PageHeap, RefusesWhatNoAddressSpaceHolds) {
  PageHeap heap;
  EXPECT_EQ(heap.allocate(std::size_t{1} << 60), nullptr);
  EXPECT_EQ(heap.allocate(SIZE_MAX), nullptr);
  EXPECT_EQ(heap.used_bytes(), 0U);
  EXPECT_NE(heap.allocate(kMiB), nullptr);
}

TEST(PageHeap, HandsFreePagesBackOnRequest) {
  PageHeap heap;
  void* kept = heap.allocate(4 * kMiB);
  void* block = heap.allocate(64 * kMiB);
  heap.release(block, 64 * kMiB);
  EXPECT_EQ(heap.resident_bytes(), 68 * kMiB);
  heap.release_free_pages();
  EXPECT_EQ(heap.resident_bytes(), 4 * kMiB);
  heap.release(kept, 4 * kMiB);
}

// Forward's sizes, then backward's: free ranges too small for what is asked for next.
TEST(PageHeap, GivesFreePagesBackBeforeItGrowsBeyondItsBound) {
  PageHeap heap;
  std::vector<void*> odd, even;
  for (int i = 0; i < 40; ++i) (i % 2 == 0 ? even : odd).push_back(heap.allocate(6 * kMiB));
  for (void* block : even) heap.release(block, 6 * kMiB);
  std::vector<void*> larger;
  for (int i = 0; i < 10; ++i) larger.push_back(heap.allocate(12 * kMiB));
  EXPECT_EQ(heap.used_bytes(), 240 * kMiB);
  EXPECT_LE(heap.resident_bytes(), 252 * kMiB);
}

// Free ranges of which none holds a huge page.
TEST(PageHeap, GivesPartsOfHugePagesBackWhereItHasNoWholeOnes) {
  PageHeap heap;
  std::vector<void*> odd, even;
  for (int i = 0; i < 100; ++i) (i % 2 == 0 ? even : odd).push_back(heap.allocate(kMiB));
  for (void* block : even) heap.release(block, kMiB);
  std::vector<void*> larger;
  for (int i = 0; i < 25; ++i) larger.push_back(heap.allocate(2 * kMiB));
  EXPECT_EQ(heap.used_bytes(), 100 * kMiB);
  EXPECT_LE(heap.resident_bytes(), 108 * kMiB);
  // What was handed back in part is as good as new.
  for (void*& block : even) block = heap.allocate(kMiB);
  for (void* block : even) std::memset(block, 1, kMiB);
  EXPECT_EQ(heap.used_bytes(), 150 * kMiB);
  EXPECT_EQ(heap.resident_bytes(), 150 * kMiB);
}

// As RLIMIT_DATA counts it, and kernels that promise no more than they have.
std::size_t data_of_process() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("VmData:", 0) == 0) return std::stoull(line.substr(7)) * 1024;
  }
  return 0;
}

TEST(PageHeap, IsNoMoreDataOfTheProcessThanItMayHaveResident) {
  const auto before = data_of_process();
  ASSERT_GT(before, 0U) << "/proc/self/status has no VmData";
  PageHeap heap;
  void* kept = heap.allocate(4 * kMiB);
  void* block = heap.allocate(64 * kMiB);
  EXPECT_LE(data_of_process(), before + 69 * kMiB);
  heap.release(block, 64 * kMiB);
  heap.release_free_pages();
  EXPECT_LE(data_of_process(), before + 5 * kMiB);
  heap.release(kept, 4 * kMiB);
}

TEST(PageHeap, HasWhatALimitOfTheProcessAllowsAndRefusesMore) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers keep memory of their own";
#endif
  PageHeap heap;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_DATA, &before), 0);
  rlimit limited = before;
  limited.rlim_cur = data_of_process() + 63 * kMiB;
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &limited), 0);
  // Free ranges of 6 MiB hold none of the larger blocks: their pages have to go to those, before the heap's
  // own bound is reached.
  std::vector<void*> odd, even, larger;
  for (int i = 0; i < 10; ++i) (i % 2 == 0 ? even : odd).push_back(heap.allocate(6 * kMiB));
  for (void* block : even) heap.release(block, 6 * kMiB);
  for (int i = 0; i < 3; ++i) larger.push_back(heap.allocate(10 * kMiB));
  void* const too_much = heap.allocate(20 * kMiB);
  void* const fits = heap.allocate(2 * kMiB);
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &before), 0);
  EXPECT_THAT(larger, testing::Each(testing::NotNull()));
  EXPECT_EQ(too_much, nullptr);
  EXPECT_NE(fits, nullptr);
  EXPECT_EQ(heap.used_bytes(), 62 * kMiB);
}

TEST(PageHeap, KeepsContentsApartUnderRandomUse) {
  struct Block {
    unsigned char* data;
    std::size_t bytes;
    unsigned char mark;
  };
  PageHeap heap;
  std::mt19937 random(1);
  std::vector<Block> live;
  std::size_t used = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (live.size() < 40 && random() % 2 == 0) {
      const std::size_t bytes = 1 + random() % (random() % 8 == 0 ? 4 * kMiB : 64 * 1024);
      auto* data = static_cast<unsigned char*>(heap.allocate(bytes));
      const auto mark = static_cast<unsigned char>(random());
      data[0] = data[bytes / 2] = data[bytes - 1] = mark;
      live.push_back({data, bytes, mark});
      used += (bytes + PageHeap::kUnit - 1) / PageHeap::kUnit * PageHeap::kUnit;
    } else if (!live.empty()) {
      std::swap(live[random() % live.size()], live.back());
      const auto [data, bytes, mark] = live.back();
      ASSERT_THAT((std::vector{data[0], data[bytes / 2], data[bytes - 1]}), testing::Each(mark));
      heap.release(data, bytes);
      used -= (bytes + PageHeap::kUnit - 1) / PageHeap::kUnit * PageHeap::kUnit;
      live.pop_back();
    }
    ASSERT_EQ(heap.used_bytes(), used);
    ASSERT_GE(heap.resident_bytes(), used);
  }
}

TEST(PageHeap, ServesThreads) {
  PageHeap heap;
  const auto work = [&heap](unsigned char mark) {
    for (int i = 0; i < 500; ++i) {
      const std::size_t bytes = 1000 * static_cast<std::size_t>(i % 50 + 1);
      auto* data = static_cast<unsigned char*>(heap.allocate(bytes));
      std::memset(data, mark, bytes);
      EXPECT_EQ(data[0], mark);
      EXPECT_EQ(data[bytes - 1], mark);
      heap.release(data, bytes);
    }
  };
  std::thread other(work, 1);
  work(2);
  other.join();
  EXPECT_EQ(heap.used_bytes(), 0U);
}

}  // namespace
}  // namespace remat::torch_bridge

// SmallHeap: small blocks that share pages.
#include "torch_bridge/small_heap.h"

#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace remat::torch_bridge {
namespace {

class SmallHeapTest : public ::testing::Test {
 protected:
  std::vector<SmallHeap::Block> allocate(int count, std::size_t bytes) {
    std::vector<SmallHeap::Block> blocks;
    for (int i = 0; i < count; ++i) blocks.push_back(heap_.allocate(bytes));
    return blocks;
  }
  void release(const std::vector<SmallHeap::Block>& blocks) {
    for (const auto& block : blocks) heap_.release(block);
  }

  PageHeap pages_;
  SmallHeap heap_{pages_};
};

TEST_F(SmallHeapTest, HandsOutAlignedBlocksThatDoNotOverlap) {
  std::vector<std::pair<SmallHeap::Block, std::size_t>> made;
  for (std::size_t bytes = 0; bytes <= SmallHeap::kMost; bytes += 61) {
    const auto block = heap_.allocate(bytes);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block.begin) % SmallHeap::kStep, 0U) << bytes;
    std::memset(block.begin, static_cast<int>(made.size() % 251), bytes);
    made.emplace_back(block, bytes);
  }
  const auto largest = heap_.allocate(SmallHeap::kMost);
  std::memset(largest.begin, 255, SmallHeap::kMost);
  for (std::size_t i = 0; i < made.size(); ++i) {
    const auto* bytes = static_cast<const unsigned char*>(made[i].first.begin);
    for (std::size_t j = 0; j < made[i].second; ++j) ASSERT_EQ(bytes[j], i % 251) << i;
  }
}

TEST_F(SmallHeapTest, ReusesWhatWasReleased) {
  const auto first = heap_.allocate(1000);
  heap_.release(first);
  EXPECT_EQ(heap_.allocate(1000).begin, first.begin);
}

// Breaks if: blocks of different sizes cut each other's pages.
TEST_F(SmallHeapTest, AStepThatRepeatsItselfNeedsNoMorePages) {
  std::size_t after_first = 0;
  for (int step = 0; step < 5; ++step) {
    auto kept = allocate(100, 3000);
    for (const std::size_t bytes : {700U, 12'000U, 100U}) release(allocate(200, bytes));
    if (step == 0) after_first = pages_.used_bytes();
    EXPECT_EQ(pages_.used_bytes(), after_first) << step;
    release(kept);
  }
}

TEST_F(SmallHeapTest, WastesAtMostAnEighthAndOneSpan) {
  for (const std::size_t bytes : {64U, 1088U, 5000U, 33'000U}) {
    const auto before = pages_.used_bytes();
    const auto blocks = allocate(1000, bytes);
    EXPECT_LT(pages_.used_bytes() - before, 1000 * bytes * 9 / 8 * 102 / 100 + (1U << 20)) << bytes;
    release(blocks);
  }
}

TEST_F(SmallHeapTest, GivesBackSpansButOneOfEachSize) {
  const auto one = heap_.allocate(500);
  const auto with_one = pages_.used_bytes();
  auto blocks = allocate(2000, 500);
  EXPECT_GT(pages_.used_bytes(), with_one);
  release(blocks);
  heap_.release(one);
  EXPECT_EQ(pages_.used_bytes(), with_one);
}

TEST_F(SmallHeapTest, KeepsBlocksApartInARandomProgram) {
  std::mt19937 random(7);
  std::vector<std::pair<SmallHeap::Block, std::size_t>> live;
  std::set<void*> begins;
  for (int i = 0; i < 20'000; ++i) {
    if (live.empty() || random() % 5 < 3) {
      const std::size_t bytes = (random() % 64 + 1) << random() % 11;
      live.emplace_back(heap_.allocate(bytes), bytes);
      ASSERT_TRUE(begins.insert(live.back().first.begin).second);
      std::memset(live.back().first.begin, static_cast<int>(bytes % 251), bytes);
    } else {
      std::swap(live[random() % live.size()], live.back());
      const auto [block, bytes] = live.back();
      const auto* content = static_cast<const unsigned char*>(block.begin);
      ASSERT_EQ(content[0], bytes % 251);
      ASSERT_EQ(content[bytes - 1], bytes % 251);
      begins.erase(block.begin);
      heap_.release(block);
      live.pop_back();
    }
  }
  for (const auto& [block, bytes] : live) heap_.release(block);
}

TEST_F(SmallHeapTest, ThreadsReleaseEachOthersBlocks) {
  std::vector<std::vector<SmallHeap::Block>> made(4);
  const auto in_threads = [&](auto&& work) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < made.size(); ++i) threads.emplace_back([&, i] { work(i); });
    for (auto& thread : threads) thread.join();
  };
  for (int round = 0; round < 20; ++round) {
    in_threads([&](std::size_t i) { made[i] = allocate(300, 100 * i + 50); });
    in_threads([&](std::size_t i) { release(made[(i + 1) % made.size()]); });
  }
  std::set<void*> begins;
  for (const auto& block : allocate(1000, 50)) begins.insert(block.begin);
  EXPECT_EQ(begins.size(), 1000U);
}

}  // namespace
}  // namespace remat::torch_bridge

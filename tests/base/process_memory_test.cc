#include "base/process_memory.h"

#include <cstring>
#include <sys/mman.h>

#include <gtest/gtest.h>

namespace remat {
namespace {

TEST(ProcessMemory, SeesWhatIsTakenAndWhatWas) {
  const auto before = process_memory();
  ASSERT_TRUE(before) << "there is no /proc/self/status";
  constexpr std::size_t kSize = std::size_t{64} << 20;
  // From the system: an allocator, as the address sanitizer's, may keep what it is given back.
  void* const taken =
      ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(taken, MAP_FAILED);
  std::memset(taken, 1, kSize);
  const auto during = process_memory();
  ASSERT_EQ(::munmap(taken, kSize), 0);
  const auto after = process_memory();
  EXPECT_GE(during->resident, before->resident + Bytes(kSize / 2));
  EXPECT_LT(after->resident, during->resident);
  EXPECT_GE(after->peak, during->resident - Bytes(kSize / 8)) << "Linux counts in batches";
}

}  // namespace
}  // namespace remat

#include "base/process_memory.h"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace remat {
namespace {

TEST(ProcessMemory, SeesWhatIsTakenAndWhatWas) {
  const auto before = process_memory();
  ASSERT_TRUE(before) << "there is no /proc/self/status";
  constexpr std::size_t kSize = std::size_t{64} << 20;
  std::optional<ProcessMemory> during;
  {
    std::vector<char> taken(kSize);
    std::memset(taken.data(), 1, taken.size());
    during = process_memory();
  }
  const auto after = process_memory();
  EXPECT_GE(during->resident, before->resident + Bytes(kSize / 2));
  EXPECT_LT(after->resident, during->resident);
  EXPECT_GE(after->peak, during->resident - Bytes(kSize / 8)) << "Linux counts in batches";
}

}  // namespace
}  // namespace remat

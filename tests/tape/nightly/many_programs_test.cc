// 10,000 random programs, trained within half of their activation peak.
#include <gtest/gtest.h>

#include <remat/memory.h>

#include "tests/tape/budget_programs.h"

namespace remat::testing {
namespace {

constexpr std::uint64_t kPrograms = 2'500;  // in each part

class ManyPrograms : public ::testing::TestWithParam<std::uint64_t> {};

// Breaks if: a combination of views, writes in place, random numbers and lists is made again wrongly.
TEST_P(ManyPrograms, TrainToTheSameBits) {
  use_huge_page_allocator();
  std::uint64_t fitted = 0;
  const std::uint64_t first = 1 + GetParam() * kPrograms;
  for (std::uint64_t seed = first; seed < first + kPrograms && !HasFailure(); ++seed) {
    if (trains_to_the_same_bits(seed)) ++fitted;
  }
  EXPECT_GT(fitted, kPrograms / 2);
}

INSTANTIATE_TEST_SUITE_P(Quarters, ManyPrograms, ::testing::Range<std::uint64_t>(0, 4));

}  // namespace
}  // namespace remat::testing

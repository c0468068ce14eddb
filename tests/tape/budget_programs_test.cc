// Random programs, trained within half of their activation peak: the bits of plain training.
#include "tests/tape/budget_programs.h"

#include <gtest/gtest.h>

#include <remat/memory.h>

namespace remat::testing {
namespace {

constexpr std::uint64_t kPrograms = 300;

// Breaks if: a combination of views, writes in place, random numbers and lists is made again wrongly.
TEST(BudgetPrograms, TrainToTheSameBits) {
  use_huge_page_allocator();
  int fitted = 0;
  for (std::uint64_t seed = 1; seed <= kPrograms && !::testing::Test::HasFailure(); ++seed) {
    if (trains_to_the_same_bits(seed)) ++fitted;
  }
  EXPECT_GT(fitted, static_cast<int>(kPrograms / 2));
}

}  // namespace
}  // namespace remat::testing

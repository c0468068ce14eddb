// Every model of the zoo, trained within shares of its activation peak: the bits of plain training.
#include <gtest/gtest.h>

#include <remat/budget.h>
#include <remat/memory.h>

#include "tests/tape/budget_harness.h"
#include "tests/tape/model_zoo.h"

namespace remat::testing {
namespace {

constexpr std::int64_t kEffort = 20'000;

class BudgetZoo : public ::testing::TestWithParam<ZooModel> {
 protected:
  /// Trains within a share of the plain activation peak. False if that is too little.
  bool train_within(double share, const Training& plain) {
    SCOPED_TRACE(share);
    Budget budget({*live_cpu_bytes() + budget_of(plain, share), kEffort});
    try {
      expect_equal(plain, train(GetParam(), {}, [&](const auto& step) {
                     Step scope(budget);
                     step();
                   }));
    } catch (const BudgetError&) {
      return false;
    }
    return true;
  }
};

// Breaks if: an operator is made again with other bits, from other values, or with other random numbers.
TEST_P(BudgetZoo, TrainsToTheSameBits) {
  use_huge_page_allocator();
  const Training plain = train(GetParam(), {});
  EXPECT_TRUE(train_within(2, plain)) << "nothing has to go";
  // The smallest of these models have nothing to let go of when they are at their peak.
  for (const double share : {0.8, 0.5, 0.33}) {
    if (!train_within(share, plain)) break;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, BudgetZoo, ::testing::ValuesIn(model_zoo()),
                         [](const auto& model) { return model.param.name; });

}  // namespace
}  // namespace remat::testing

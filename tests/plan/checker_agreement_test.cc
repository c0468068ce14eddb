// The simulator and the independent checker of plans agree on plans made at random.
#include <cstddef>
#include <cstdint>

#include <gtest/gtest.h>

#include "tests/plan/checker_comparison.h"
#include "tests/testing/random_chain.h"
#include "tests/testing/random_op_graph.h"

namespace remat {
namespace {

using testing::RandomChoices;

class CheckerAgreement : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::CheckerComparison::is_there()) {
      GTEST_SKIP() << "there is no " << testing::CheckerComparison::checker()
                   << ": set REMAT_SHARED when configuring";
    }
  }

  void expect_agreement_on_both_kinds() const {
    constexpr std::size_t kCases = 4000;
    const auto valid = comparison_.expect_agreement();
    EXPECT_GT(4 * valid, kCases);
    EXPECT_LT(8 * valid, 7 * kCases);
  }

  testing::CheckerComparison comparison_;
};

TEST_F(CheckerAgreement, OnFourThousandPlansOfOpGraphs) {
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    RandomChoices choices(seed);
    const auto graph = testing::random_op_graph(choices);
    auto plan = testing::random_plan(graph, choices);
    for (auto changes = seed % 3; changes > 0; --changes) {
      testing::change_one(plan.actions, choices,
                          [&] { return testing::random_action(graph, choices); });
    }
    comparison_.add(graph, plan);
  }
  expect_agreement_on_both_kinds();
}

TEST_F(CheckerAgreement, OnFourThousandPlansOfChains) {
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    RandomChoices choices(seed);
    const auto chain = testing::random_chain(choices);
    auto plan = testing::random_chain_plan(chain, choices);
    for (auto changes = seed % 3; changes > 0; --changes) {
      testing::change_one(plan.actions, choices,
                          [&] { return testing::random_chain_action(chain, choices); });
    }
    comparison_.add(chain, plan);
  }
  expect_agreement_on_both_kinds();
}

}  // namespace
}  // namespace remat

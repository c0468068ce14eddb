// The independent checker finds what chain plans say of themselves.
#include <algorithm>
#include <cstdint>

#include <gtest/gtest.h>

#include <remat/chain_planner.h>
#include <remat/simulator.h>

#include "tests/plan/checker_comparison.h"
#include "tests/testing/random_chain.h"

namespace remat {
namespace {

using testing::RandomChoices;

TEST(ChainPlansCheck, TheyAreAsTheySay) {
  if (!testing::CheckerComparison::is_there()) {
    GTEST_SKIP() << "there is no " << testing::CheckerComparison::checker()
                 << ": set REMAT_SHARED when configuring";
  }
  testing::CheckerComparison comparison;
  std::size_t plans = 0;
  const auto add = [&](const Chain& chain, const ChainPlan& plan) {
    const auto simulation = simulate(chain, plan);
    EXPECT_EQ(simulation.peak, plan.predicted_peak);
    EXPECT_EQ(simulation.time, plan.predicted_time);
    comparison.add(chain, plan);
    ++plans;
  };
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    RandomChoices choices(seed);
    const auto chain = testing::random_chain(choices, {12, 100, 2});
    const auto ends = plan_chain(chain, {});
    const auto range = std::max<std::int64_t>(1, (ends.plain_peak - ends.min_feasible).count());
    ChainPlanOptions options;
    options.memory = ends.min_feasible + Bytes(choices.below(range));
    add(chain, plan_chain(chain, options).plan);
    add(chain, plan_chain_greedy(chain, options.memory));
    add(chain, plan_chain_revolve(chain, choices.between(1, 12)));
    add(chain, plan_chain_segments(chain, Placement::every(choices.between(1, 12))));
  }
  EXPECT_EQ(comparison.expect_agreement(), plans);
}

}  // namespace
}  // namespace remat

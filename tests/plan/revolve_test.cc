#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include <remat/chain_planner.h>
#include <remat/simulator.h>

#include "tests/testing/error_text.h"
#include "tests/testing/random_chain.h"

namespace remat {
namespace {

using testing::complaint_of;
using testing::RandomChoices;

// t(l, s) by its recurrence, for all lengths below `lengths` and fewer than `all_slots` slots.
std::vector<std::vector<std::int64_t>> extra_steps_by_recurrence(std::size_t lengths,
                                                                 std::size_t all_slots) {
  std::vector<std::vector<std::int64_t>> t(all_slots, std::vector<std::int64_t>(lengths));
  for (std::size_t l = 2; l < lengths; ++l) t[1][l] = static_cast<std::int64_t>(l * (l - 1) / 2);
  for (std::size_t s = 2; s < all_slots; ++s) {
    for (std::size_t l = 2; l < lengths; ++l) {
      t[s][l] = t[1][l];
      for (std::size_t j = 1; j < l; ++j) {
        t[s][l] = std::min(t[s][l], static_cast<std::int64_t>(j) + t[s - 1][l - j] + t[s][j]);
      }
    }
  }
  return t;
}

TEST(Revolve, ClosedFormIsTheRecurrence) {
  const auto t = extra_steps_by_recurrence(60, 9);
  for (std::size_t s = 1; s < 9; ++s) {
    for (std::size_t l = 1; l < 60; ++l) {
      EXPECT_EQ(revolve_extra_steps({static_cast<std::int64_t>(l), static_cast<std::int64_t>(s)}),
                t[s][l])
          << l << " steps, " << s << " slots";
    }
  }
}

TEST(Revolve, TakesKnownNumbersOfExtraSteps) {
  EXPECT_EQ(revolve_extra_steps({10, 3}), 15);
  EXPECT_EQ(revolve_extra_steps({32, 5}), 68);
  EXPECT_EQ(revolve_extra_steps({100, 10}), 222);
  EXPECT_EQ(revolve_extra_steps({1000, 10}), 3636);
  EXPECT_EQ(revolve_extra_steps({96, 4}), 354);
}

TEST(Revolve, RunsEachStepButTheLastOnceMoreWhereEachHasASlot) {
  EXPECT_EQ(revolve_extra_steps({1, 1}), 0);
  EXPECT_EQ(revolve_extra_steps({100, 100}), 99);
  EXPECT_EQ(revolve_extra_steps({100, INT64_MAX}), 99);
}

TEST(Revolve, AdvancesOptimally) {
  const auto t = extra_steps_by_recurrence(200, 12);
  for (std::size_t s = 1; s < 12; ++s) {
    for (std::size_t l = 2; l < 200; ++l) {
      const auto j = revolve_advance({static_cast<std::int64_t>(l), static_cast<std::int64_t>(s)});
      ASSERT_GE(j, 1);
      ASSERT_LT(j, static_cast<std::int64_t>(l));
      if (s == 1) continue;  // one way only
      const auto at = static_cast<std::size_t>(j);
      EXPECT_EQ(j + t[s - 1][l - at] + t[s][at], t[s][l]) << l << " steps, " << s << " slots";
    }
  }
}

// Extra steps of the schedule that the rule leads to.
std::int64_t extra_steps_by_rule(std::int64_t steps, std::int64_t slots) {
  std::int64_t extra = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> left = {{steps, slots}};
  while (!left.empty()) {
    const auto [n, s] = left.back();
    left.pop_back();
    if (n == 1) continue;
    const auto j = revolve_advance({n, s});
    extra += j;
    left.emplace_back(j, s);
    left.emplace_back(n - j, s - 1);
  }
  return extra;
}

TEST(Revolve, RuleReachesTheClosedFormForAMillionSteps) {
  for (const std::int64_t slots : {3, 10, 100, 1000, 999'999}) {
    EXPECT_EQ(extra_steps_by_rule(1'000'000, slots), revolve_extra_steps({1'000'000, slots}))
        << slots;
  }
}

TEST(Revolve, RefusesWhatCannotBeCounted) {
  EXPECT_EQ(complaint_of([] {
              revolve_extra_steps({0, 1});
            }),
            "revolve_extra_steps: expected at least 1 step and 1 slot, got 0 and 1");
  EXPECT_EQ(complaint_of([] {
              revolve_extra_steps({INT64_MAX, 1});
            }),
            "revolve_extra_steps: 9223372036854775807 steps with 1 slots take 2^63 steps or more; "
            "expected fewer steps or more slots");
  EXPECT_EQ(complaint_of([] {
              revolve_advance({1, 1});
            }),
            "revolve_advance: expected at least 2 steps and 1 slot, got 1 and 1");
}

// Equal stages whose memory is their kept activations, of one byte each.
Chain equal_chain(std::int64_t stages) {
  Chain chain;
  chain.name = "equal";
  chain.input = Bytes(1);
  Stage stage;
  stage.output = Bytes(1);
  stage.output_gradient = Bytes(0);
  stage.forward_time = std::chrono::nanoseconds(1);
  stage.options = {{"all", Bytes(1), {}, Bytes(), {}, Bytes()}};
  chain.stages.assign(static_cast<std::size_t>(stages), stage);
  return chain;
}

TEST(Revolve, OnAChainKeepsAsManyActivationsAsThereAreSlots) {
  for (const std::int64_t stages : {1, 2, 3, 10, 57}) {
    for (std::int64_t slots = 1; slots <= stages; ++slots) {
      const auto chain = equal_chain(stages);
      const auto plan = plan_chain_revolve(chain, slots);
      const auto simulation = simulate(chain, plan);
      ASSERT_TRUE(simulation.valid()) << simulation.fault->what;
      EXPECT_EQ(simulation.time.count(), revolve_extra_steps({stages, slots}));
      // One more: what the stage that runs makes, or what a pass is about to free.
      EXPECT_LE(simulation.peak.count(), slots + 2);
      EXPECT_EQ(plan.predicted_time, simulation.time);
    }
  }
}

TEST(Revolve, OnAChainIsValidForUnequalStages) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    RandomChoices choices(seed);
    const auto chain = testing::random_chain(choices, {12, 100, 2});
    const auto plan = plan_chain_revolve(chain, choices.between(1, 13));
    const auto simulation = simulate(chain, plan);
    ASSERT_TRUE(simulation.valid()) << simulation.fault->what;
    EXPECT_EQ(plan.predicted_peak, simulation.peak);
    EXPECT_EQ(plan.budget, simulation.peak);
  }
}

TEST(Revolve, OnAChainNeedsASlotForTheInput) {
  EXPECT_EQ(complaint_of([] { plan_chain_revolve(equal_chain(3), 0); }),
            "plan_chain_revolve: chain \"equal\" needs at least 1 slot, for its input; got 0");
}

}  // namespace
}  // namespace remat

// The small parts of the search: its random numbers and its set of slots.
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/search_random.h"
#include "plan/slot_set.h"

namespace remat::plan {
namespace {

using ::testing::ElementsAre;

std::vector<std::size_t> first_numbers(std::uint64_t seed) {
  SearchRandom random(seed);
  std::vector<std::size_t> numbers;
  for (int i = 0; i < 4; ++i) numbers.push_back(random.below(1000));
  return numbers;
}

TEST(SearchRandom, GivesTheSameNumbersForASeedEverywhere) {
  EXPECT_THAT(first_numbers(0), ElementsAre(641u, 872u, 965u, 343u));
  EXPECT_THAT(first_numbers(1), ElementsAre(678u, 590u, 93u, 100u));
}

TEST(SearchRandom, StaysBelowTheBoundAndReachesAllBelowIt) {
  SearchRandom random(7);
  std::vector<int> seen(5);
  for (int i = 0; i < 1000; ++i) {
    const auto number = random.below(5);
    ASSERT_LT(number, 5u);
    ++seen[number];
  }
  for (const auto times : seen) EXPECT_GT(times, 120);
}

TEST(SearchRandom, DrawsExponentialsOfMeanOne) {
  SearchRandom random(7);
  double sum = 0;
  int above_one = 0;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    const auto draw = random.exponential();
    ASSERT_GE(draw, 0);
    sum += draw;
    above_one += draw > 1 ? 1 : 0;
  }
  EXPECT_NEAR(sum / kDraws, 1, 0.02);
  EXPECT_NEAR(static_cast<double>(above_one) / kDraws, 0.3679, 0.01);
}

TEST(SearchRandom, IsNeverTrueAtZeroPercentAndAlwaysAtAHundred) {
  SearchRandom random(3);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_FALSE(random.chance(0));
    ASSERT_TRUE(random.chance(100));
  }
}

TEST(SlotSet, VisitsSlotsInOrderAndThoseInsertedWhileItGoes) {
  SlotSet slots(Slot(300));
  for (const std::size_t slot : {200, 3, 64, 63, 3}) slots.insert(Slot(slot));
  std::vector<std::int32_t> visited;
  slots.drain([&](Slot slot) {
    visited.push_back(slot.number());
    if (slot == Slot(63)) slots.insert(Slot(65));
    if (slot == Slot(64)) slots.insert(Slot(299));
  });
  EXPECT_THAT(visited, ElementsAre(3, 63, 64, 65, 200, 299));
  slots.drain([](Slot slot) { ADD_FAILURE() << slot.number() << " was visited twice"; });
}

}  // namespace
}  // namespace remat::plan

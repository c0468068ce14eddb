#include "plan/live_profile.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "tests/testing/choices.h"

namespace remat::plan {
namespace {

using remat::testing::Choices;
using remat::testing::RandomChoices;

// What LiveProfile promises, slot by slot.
struct PlainProfile {
  std::vector<std::int64_t> live;
  std::int64_t budget = 0;

  void add(SlotRange slots, std::int64_t bytes) {
    for (auto slot = slots.first; slot <= slots.last; ++slot) live[slot.index()] += bytes;
  }
  std::int64_t excess() const {
    std::int64_t sum = 0;
    for (const auto bytes : live) sum += std::max<std::int64_t>(0, bytes - budget);
    return sum;
  }
  std::int64_t peak() const {
    return std::max<std::int64_t>(0, *std::max_element(live.begin(), live.end()));
  }
};

void add_at_random(LiveProfile& profile, PlainProfile& plain, Choices& choices) {
  const auto slots = static_cast<std::int64_t>(plain.live.size());
  const auto first = choices.below(slots);
  const auto last = first + choices.below(slots - first);
  const SlotRange range{Slot(static_cast<std::size_t>(first)),
                        Slot(static_cast<std::size_t>(last))};
  const auto bytes = choices.between(-40, 60);
  profile.add(range, bytes);
  plain.add(range, bytes);
}

TEST(LiveProfile, TellsExcessAndPeakAsSlotBySlotAndTakesBackWhatWasAdded) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    RandomChoices choices(seed);
    const auto slots = static_cast<std::size_t>(choices.between(1, 150));
    PlainProfile plain{std::vector<std::int64_t>(slots), choices.between(0, 300)};
    LiveProfile profile(Slot(slots), plain.budget);
    for (int move = 0; move < 40; ++move) {
      profile.begin();
      const auto before = plain;
      for (auto left = choices.between(0, 6); left > 0; --left) {
        add_at_random(profile, plain, choices);
        ASSERT_EQ(profile.excess(), plain.excess()) << "seed " << seed << ", move " << move;
      }
      if (choices.one_in(2)) {
        profile.undo();
        plain = before;
      }
      ASSERT_EQ(profile.excess(), plain.excess()) << "seed " << seed << ", move " << move;
      ASSERT_EQ(profile.peak(), plain.peak()) << "seed " << seed << ", move " << move;
    }
  }
}

TEST(LiveProfile, AddsNothingToAnEmptyRange) {
  LiveProfile profile(Slot(40), 10);
  profile.begin();
  EXPECT_EQ(profile.add({Slot(5), Slot(4)}, 100), 0);
  EXPECT_EQ(profile.peak(), 0);
}

TEST(LiveProfile, SumsWhatPassesTheBudget) {
  LiveProfile profile(Slot(100), 32);
  profile.begin();
  profile.add({Slot(0), Slot(99)}, 30);
  EXPECT_EQ(profile.excess(), 0);
  profile.add({Slot(10), Slot(19)}, 5);
  EXPECT_EQ(profile.excess(), 10 * 3);
}

}  // namespace
}  // namespace remat::plan

// The tables of the chain planner against each other.
#include <algorithm>
#include <cstdint>

#include <gtest/gtest.h>

#include <remat/simulator.h>

#include "plan/chain_model.h"
#include "plan/chain_schedule.h"
#include "plan/chain_segments.h"
#include "plan/exact_times.h"
#include "plan/least_room.h"
#include "plan/slot_times.h"
#include "tests/testing/random_chain.h"

namespace remat::plan {
namespace {

using testing::RandomChoices;

// A chain and what its tables are made from.
struct Tables {
  explicit Tables(const Chain& chain) : model(chain), segments(model), least(model, segments) {}

  std::int64_t least_room() const { return least(model.whole()); }

  ExactTimes exact(std::int64_t room, std::int64_t known_time = kNever) const {
    return *ExactTimes::solve({model, segments, room, known_time}, kNever);
  }

  // Calls visit(segment, room) for all segments after the first stage and rooms up to `most`.
  template <class Visit>
  void for_each(std::int64_t most, Visit visit) const {
    for (std::size_t first = 1; first < model.stages(); ++first) {
      for (auto last = first; last < model.stages(); ++last) {
        for (std::int64_t room = 0; room <= most; room += 7) {
          visit(ChainSegment{first, last}, room);
        }
      }
    }
  }

  ChainModel model;
  ChainSegments segments;
  LeastRoom least;
};

TEST(SegmentTimes, SlotsOfOneByteSayWhatBytesSay) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    RandomChoices choices(seed);
    const Tables tables(testing::random_chain(choices, {12, 60, 2}));
    const auto room = 2 * tables.least_room();
    const auto exact = tables.exact(room);
    const SlotTimes slots({tables.model, tables.segments, tables.least, room}, {room});
    ASSERT_EQ(slots.slot_bytes(), 1);
    tables.for_each(room, [&](ChainSegment segment, std::int64_t at) {
      ASSERT_EQ(slots.time(segment, at), exact.time(segment, at))
          << "seed " << seed << " stages " << segment.first << " to " << segment.last << " in "
          << at;
    });
  }
}

TEST(SegmentTimes, SlotsPromiseNothingThatBytesDoNotHold) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    RandomChoices choices(seed);
    const Tables tables(testing::random_chain(choices, {12, 300, 2}));
    const auto room = 2 * tables.least_room();
    const auto exact = tables.exact(room);
    const SlotTimes slots({tables.model, tables.segments, tables.least, room}, {100});
    tables.for_each(room, [&](ChainSegment segment, std::int64_t at) {
      ASSERT_GE(slots.time(segment, at), exact.time(segment, at)) << "seed " << seed;
    });
  }
}

TEST(SegmentTimes, ThereIsATimeFromTheLeastRoomOn) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    RandomChoices choices(seed);
    const Tables tables(testing::random_chain(choices, {12, 60, 2}));
    const auto room = 2 * tables.least_room();
    const auto exact = tables.exact(room);
    tables.for_each(room, [&](ChainSegment segment, std::int64_t at) {
      ASSERT_EQ(exact.time(segment, at) < kNever, at >= tables.least(segment)) << "seed " << seed;
    });
  }
}

TEST(SegmentTimes, LeaveOutOnlyWhatIsTooSlowForAKnownTime) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    RandomChoices choices(seed);
    const Tables tables(testing::random_chain(choices, {12, 60, 2}));
    const auto room = 2 * tables.least_room();
    const auto all = tables.exact(room);
    const auto plain = tables.model.plain_sum.back();
    const auto exact = tables.exact(room, plain + 50);
    const SlotTimes slots({tables.model, tables.segments, tables.least, room}, {room, plain + 50});
    tables.for_each(room, [&](ChainSegment segment, std::int64_t at) {
      const auto time = all.time(segment, at);
      const auto most = tables.model.plain_time(segment) + 50;
      const auto expected = time <= most ? time : kNever;
      ASSERT_EQ(exact.time(segment, at), expected) << "seed " << seed;
      ASSERT_EQ(slots.time(segment, at), expected) << "seed " << seed;
    });
  }
}

TEST(SegmentTimes, GiveUpBeyondTheirEffort) {
  RandomChoices choices(1);
  const Tables tables(testing::random_chain(choices, {12, 1000, 2}));
  ASSERT_GE(tables.model.stages(), 5U);
  const auto room = 2 * tables.least_room();
  EXPECT_FALSE(ExactTimes::solve({tables.model, tables.segments, room, kNever}, 50).has_value());
}

Chain equal_chain(std::int64_t stages) {
  RandomChoices choices(3);
  auto chain = testing::random_chain(choices, {1, 1000, 2});
  chain.stages.resize(static_cast<std::size_t>(stages), chain.stages.front());
  return chain;
}

// Those in the middle by length; those that start with the first or the second stage, whose gradients
// at the start are others; those that end with the last, in both ways.
TEST(SegmentTimes, CountEqualSegmentsOnce) {
  const Tables tables(equal_chain(100));
  const auto different = tables.segments.different().size();
  EXPECT_GE(different, 100U);
  EXPECT_LE(different, 400U);
  EXPECT_EQ(tables.segments.row({10, 20}), tables.segments.row({50, 60}));
  EXPECT_NE(tables.segments.row({10, 20}), tables.segments.row({10, 21}));
  EXPECT_NE(tables.segments.row({89, 99}), tables.segments.row({50, 60}));
}

// In the least room, where sizes rounded up to a 20th of it mostly leave no plan in the table.
TEST(SegmentTimes, SchedulesFitWhateverRoundingLoses) {
  int unknown = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    RandomChoices choices(seed);
    const auto chain = testing::random_chain(choices, {30, 1'000'000'000, 2});
    const Tables tables(chain);
    const auto room = tables.least_room();
    const SlotTimes slots({tables.model, tables.segments, tables.least, room}, {20});
    if (chain.stages.size() > 1) {
      unknown += slots.time({1, chain.stages.size() - 1}, room) == kNever ? 1 : 0;
    }
    ChainPlan plan;
    plan.actions = ChainSchedule(tables.model, slots, tables.least).actions(room);
    const auto simulation = simulate(chain, plan);
    ASSERT_TRUE(simulation.valid()) << simulation.fault->what;
    EXPECT_LE(simulation.peak, tables.model.fixed + chain.input + Bytes(room)) << "seed " << seed;
  }
  EXPECT_GT(unknown, 10);
}

}  // namespace
}  // namespace remat::plan

#include "tape/usual_times.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remat::tape {
namespace {

using ::testing::ElementsAre;

TEST(UsualTimes, TakeTheMedianOfTheKindForWhatTookMuchLonger) {
  const std::vector<std::uint64_t> kinds(9, 7);
  EXPECT_THAT(usual_times(kinds, {10, 11, 9, 3000, 12, 10, 44, 45, 8}),
              ElementsAre(10, 11, 9, 11, 12, 10, 44, 11, 8));
}

TEST(UsualTimes, AreThoseMeasuredWhereFewAreOfAKind) {
  const std::vector<std::uint64_t> kinds = {1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2};
  const std::vector<std::int64_t> measured = {5, 5, 5, 5, 5, 5, 900, 1, 2, 3, 4, 5, 60, 7};
  EXPECT_EQ(usual_times(kinds, measured), measured);
}

/// Moments of nodes called `name` that take `nanoseconds` and ask for one value of `bytes`.
void add_nodes(StepRecord& record, const std::string& name, std::int64_t bytes,
               const std::vector<std::int64_t>& nanoseconds) {
  for (const std::int64_t time : nanoseconds) {
    Value value;
    value.bytes = bytes;
    Moment moment;
    moment.asked.begin = record.asked.size();
    record.asked.add(record.values.add(value));
    moment.asked.end = record.asked.size();
    moment.nanoseconds = time;
    moment.node = record.nodes.add(name);
    record.moments.add(moment);
  }
}

TEST(UsualTimes, TellNodesByNameAndByWhatTheyAskFor) {
  StepRecord record;
  add_nodes(record, "TanhBackward0", 64, {10, 10, 10, 10, 500, 10, 10, 10});
  add_nodes(record, "TanhBackward0", 4096, {500});
  add_nodes(record, "MulBackward0", 64, {500});
  EXPECT_THAT(usual_times(record), ElementsAre(10, 10, 10, 10, 10, 10, 10, 10, 500, 500));
}

}  // namespace
}  // namespace remat::tape

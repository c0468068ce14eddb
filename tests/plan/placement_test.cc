#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/error.h>
#include <remat/placement.h>

namespace remat {

// For GoogleTest, when an expectation fails.
std::ostream& operator<<(std::ostream& out, const Segment& segment) {
  return out << "[" << segment.begin << "," << segment.end << ")"
             << (segment.checkpointed ? " yes" : " no");
}

namespace {

using testing::ElementsAre;
using testing::ThrowsMessage;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

std::vector<Segment> segments(std::string_view rule, std::int64_t layers) {
  return Placement::parse(rule).segments(layers);
}

Segment yes(std::int64_t begin, std::int64_t end) { return {begin, end, true}; }

Segment no(std::int64_t begin, std::int64_t end) { return {begin, end, false}; }

std::int64_t length(const Segment& segment) { return segment.end - segment.begin; }

// ---- golden examples
// ------------------------------------------------------------------------------

TEST(Placement, NoneIsOneSegmentThatIsNotCheckpointed) {
  EXPECT_THAT(segments("none", 5), ElementsAre(no(0, 5)));
}

TEST(Placement, FullCheckpointsEveryLayerTheLastIncluded) {
  EXPECT_THAT(segments("full", 3), ElementsAre(yes(0, 1), yes(1, 2), yes(2, 3)));
}

TEST(Placement, EveryKeepsTheActivationAtEveryKthLayer) {
  EXPECT_THAT(segments("every:2", 5), ElementsAre(yes(0, 2), yes(2, 4), no(4, 5)));
  EXPECT_THAT(segments("every:2", 4), ElementsAre(yes(0, 2), no(2, 4)));
  EXPECT_THAT(segments("every:1", 3), ElementsAre(yes(0, 1), yes(1, 2), no(2, 3)));
}

TEST(Placement, SegmentsPutsTheLongerOnesFirst) {
  EXPECT_THAT(segments("segments:3", 8), ElementsAre(yes(0, 3), yes(3, 6), no(6, 8)));
  EXPECT_THAT(segments("segments:3", 7), ElementsAre(yes(0, 3), yes(3, 5), no(5, 7)));
  EXPECT_THAT(segments("segments:3", 3), ElementsAre(yes(0, 1), yes(1, 2), no(2, 3)));
}

TEST(Placement, SqrtMakesTheRoundedRootOfTheLayersSegments) {
  EXPECT_THAT(segments("sqrt", 12), ElementsAre(yes(0, 4), yes(4, 8), no(8, 12)));
  EXPECT_THAT(segments("sqrt", 3), ElementsAre(yes(0, 2), no(2, 3)));
  EXPECT_EQ(segments("sqrt", 13), segments("segments:4", 13));
}

// With one segment, the last is the first: a documented shortcoming, not an accident.
TEST(Placement, OneSegmentRecomputesNothing) {
  EXPECT_THAT(segments("segments:1", 5), ElementsAre(no(0, 5)));
  EXPECT_THAT(segments("every:5", 5), ElementsAre(no(0, 5)));
  EXPECT_THAT(segments("every:9", 5), ElementsAre(no(0, 5)));
  EXPECT_THAT(segments("sqrt", 2), ElementsAre(no(0, 2)));
  EXPECT_THAT(segments("sqrt", 1), ElementsAre(no(0, 1)));
}

// ---- properties, for 1 to 60 layers under every rule
// ----------------------------------------------

struct Case {
  Placement placement;
  std::int64_t layers;
  std::vector<Segment> segments;
};

std::vector<Case> grid() {
  std::vector<Case> cases;
  const auto add = [&cases](const Placement& placement, std::int64_t layers) {
    cases.push_back({placement, layers, placement.segments(layers)});
  };
  for (std::int64_t layers = 1; layers <= 60; ++layers) {
    for (const auto& placement : {Placement::none(), Placement::full(), Placement::sqrt()}) {
      add(placement, layers);
    }
    for (std::int64_t k = 1; k <= 61; ++k) {
      add(Placement::every(k), layers);
    }
    for (std::int64_t count = 1; count <= layers; ++count) {
      add(Placement::segments_of(count), layers);
    }
  }
  return cases;
}

std::vector<Case> grid_of(std::initializer_list<Placement::Rule> rules) {
  std::vector<Case> cases = grid();
  const auto has_other_rule = [&rules](const Case& c) {
    return std::find(rules.begin(), rules.end(), c.placement.rule()) == rules.end();
  };
  cases.erase(std::remove_if(cases.begin(), cases.end(), has_other_rule), cases.end());
  return cases;
}

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.placement.to_string() << " of " << c.layers
             << " layers: " << testing::PrintToString(c.segments);
}

// Each of `cases` has the property; the first that has not is shown. There must be some.
template <class Property>
void expect_each(const std::vector<Case>& cases, Property has_property) {
  ASSERT_FALSE(cases.empty());
  for (const Case& c : cases) {
    ASSERT_TRUE(has_property(c)) << testing::PrintToString(c);
  }
}

TEST(Placement, SegmentsCoverAllLayersInOrder) {
  expect_each(grid(), [](const Case& c) {
    std::int64_t next = 0;
    for (const Segment& segment : c.segments) {
      if (segment.begin != next) return false;
      next = segment.end;
    }
    return next == c.layers;
  });
}

TEST(Placement, NoSegmentIsEmpty) {
  expect_each(grid(), [](const Case& c) {
    return !c.segments.empty() && std::all_of(c.segments.begin(), c.segments.end(),
                                              [](const Segment& s) { return length(s) >= 1; });
  });
}

TEST(Placement, TheLastSegmentIsNotCheckpointedExceptUnderFull) {
  expect_each(grid(), [](const Case& c) {
    return c.segments.back().checkpointed == (c.placement == Placement::full());
  });
}

TEST(Placement, EverySegmentButTheLastIsCheckpointed) {
  expect_each(grid(), [](const Case& c) {
    return std::all_of(c.segments.begin(), c.segments.end() - 1,
                       [](const Segment& s) { return s.checkpointed; });
  });
}

TEST(Placement, SegmentsAndSqrtMakeLengthsThatDifferByAtMostOneLongerFirst) {
  expect_each(grid_of({Placement::Rule::kSegments, Placement::Rule::kSqrt}), [](const Case& c) {
    const auto longer = [](const Segment& a, const Segment& b) { return length(a) > length(b); };
    return std::is_sorted(c.segments.begin(), c.segments.end(), longer) &&
           length(c.segments.front()) - length(c.segments.back()) <= 1;
  });
}

TEST(Placement, SegmentsMakesAsManyAsAskedFor) {
  expect_each(grid_of({Placement::Rule::kSegments}), [](const Case& c) {
    return c.placement == Placement::segments_of(static_cast<std::int64_t>(c.segments.size()));
  });
}

TEST(Placement, EveryMakesSegmentsOfKLayersAndOnlyTheLastIsShorter) {
  expect_each(grid_of({Placement::Rule::kEvery}), [](const Case& c) {
    const auto has_k_layers = [&c](const Segment& s) {
      return c.placement == Placement::every(length(s));
    };
    return std::all_of(c.segments.begin(), c.segments.end() - 1, has_k_layers) &&
           (c.segments.size() == 1 || length(c.segments.back()) <= length(c.segments.front()));
  });
}

// ---- sizes
// ----------------------------------------------------------------------------------------

TEST(Placement, AllocatesNoMoreThanTheSegments) {
  for (const char* rule : {"none", "full", "every:1", "every:7", "segments:1000", "sqrt"}) {
    const auto million = segments(rule, 1000000);
    EXPECT_EQ(million.capacity(), million.size()) << rule;
  }
}

TEST(Placement, HandlesAMillionLayers) {
  const auto million = segments("every:1", 1000000);
  ASSERT_EQ(million.size(), 1000000U);
  EXPECT_EQ(million.front(), yes(0, 1));
  EXPECT_EQ(million.back(), no(999999, 1000000));
  EXPECT_EQ(segments("sqrt", 1000000).size(), 1000U);
}

TEST(Placement, DoesNotOverflowAtTheLargestNumbers) {
  EXPECT_THAT(Placement::every(kLargest).segments(3), ElementsAre(no(0, 3)));
  EXPECT_THAT(Placement::every(kLargest - 1).segments(kLargest),
              ElementsAre(yes(0, kLargest - 1), no(kLargest - 1, kLargest)));
  EXPECT_THAT(Placement::segments_of(2).segments(kLargest),
              ElementsAre(yes(0, kLargest / 2 + 1), no(kLargest / 2 + 1, kLargest)));
}

// ---- text
// -----------------------------------------------------------------------------------------

TEST(Placement, ParsesEachForm) {
  EXPECT_EQ(Placement::parse("none"), Placement::none());
  EXPECT_EQ(Placement::parse("full"), Placement::full());
  EXPECT_EQ(Placement::parse("sqrt"), Placement::sqrt());
  EXPECT_EQ(Placement::parse("every:2"), Placement::every(2));
  EXPECT_EQ(Placement::parse("segments:12"), Placement::segments_of(12));
}

TEST(Placement, TellsRulesAndParametersApart) {
  EXPECT_FALSE(Placement::every(2) == Placement::every(3));
  EXPECT_FALSE(Placement::every(2) == Placement::segments_of(2));
  EXPECT_FALSE(Placement::none() == Placement::full());
}

TEST(Placement, ParsesBackWhatItShows) {
  for (const auto& placement :
       {Placement::none(), Placement::full(), Placement::sqrt(), Placement::every(1),
        Placement::every(kLargest), Placement::segments_of(1), Placement::segments_of(kLargest)}) {
    EXPECT_EQ(Placement::parse(placement.to_string()), placement) << placement.to_string();
  }
}

TEST(Placement, ShowsItselfAsItIsWritten) {
  EXPECT_EQ(Placement::none().to_string(), "none");
  EXPECT_EQ(Placement::full().to_string(), "full");
  EXPECT_EQ(Placement::sqrt().to_string(), "sqrt");
  EXPECT_EQ(Placement::every(2).to_string(), "every:2");
  EXPECT_EQ(Placement::segments_of(12).to_string(), "segments:12");
}

TEST(Placement, ListsItsForms) {
  EXPECT_EQ(Placement::forms(), "none, full, every:K, segments:N or sqrt");
}

void expect_refused(std::initializer_list<std::string_view> texts) {
  for (const std::string_view text : texts) {
    EXPECT_THROW(Placement::parse(text), InvalidArgument) << testing::PrintToString(text);
  }
}

using namespace std::string_view_literals;  // keep embedded NULs

TEST(Placement, RefusesOtherWords) {
  expect_refused({"", "non", "nones", "None", "FULL", "sqrt ", " sqrt", "all", "sqrt\0"sv, "\0"sv});
}

TEST(Placement, RefusesARuleWithoutItsNumber) {
  expect_refused({"every", "every:", "segments", "segments:", "every:K", "segments:N", "every2",
                  "every=2", "every 2"});
}

TEST(Placement, RefusesNumbersOutOfRangeOrNotPlain) {
  expect_refused({"every:0", "segments:0", "every:-1", "every:+1", "every: 2", "every:2 ",
                  "every:1.5", "every:1e3", "every:0x2", "every:2:3", "every:2,3", "every:2\0"sv,
                  "every:9223372036854775808", "segments:18446744073709551617"});
}

TEST(Placement, RefusesANumberWhereNoneBelongs) {
  expect_refused({"none:1", "full:2", "sqrt:3", "full:"});
}

TEST(Placement, NamesTheTextAndTheAcceptedForms) {
  EXPECT_THAT([] { Placement::parse("evry:2"); },
              ThrowsMessage<InvalidArgument>(
                  "\"evry:2\" is not a placement: use none, full, every:K, segments:N or sqrt, "
                  "where K and N are whole numbers of at least 1, as in every:2"));
}

TEST(Placement, RefusesFewerThanOneLayerInASegment) {
  EXPECT_THAT(
      [] { Placement::every(0); },
      ThrowsMessage<InvalidArgument>(
          "Placement::every: a segment needs at least 1 layer, got 0; use full to recompute "
          "every layer, none to recompute nothing"));
}

TEST(Placement, RefusesFewerThanOneSegment) {
  EXPECT_THAT([] { Placement::segments_of(-3); },
              ThrowsMessage<InvalidArgument>(
                  "Placement::segments_of: expected at least 1 segment, got -3; use none to "
                  "recompute nothing"));
}

TEST(Placement, RefusesAModelWithoutLayersUnderEveryRule) {
  for (const char* rule : {"none", "full", "every:2", "segments:2", "sqrt"}) {
    for (const std::int64_t layers : {std::int64_t{0}, std::int64_t{-1}}) {
      EXPECT_THAT([&] { segments(rule, layers); },
                  ThrowsMessage<InvalidArgument>("Placement " + std::string(rule) +
                                                 ": expected at least 1 layer, got " +
                                                 std::to_string(layers)));
    }
  }
}

TEST(Placement, RefusesMoreSegmentsThanLayers) {
  EXPECT_THAT([] { segments("segments:6", 5); },
              ThrowsMessage<InvalidArgument>(
                  "Placement segments:6: 6 segments need at least as many layers, but there are 5; "
                  "use segments:5 or fewer, or full"));
}

}  // namespace
}  // namespace remat

#include "plan/places.h"

#include <type_traits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remat::plan {
namespace {

using ::testing::ElementsAre;

template <class To, class... From>
constexpr bool kNoneBecomes = (!std::is_constructible_v<To, From> && ...);

TEST(Places, OfOneKindAreNotThoseOfAnother) {
  EXPECT_TRUE((kNoneBecomes<Slot, OpPlace, ValuePlace, GapPlace>));
  EXPECT_TRUE((kNoneBecomes<GapPlace, OpPlace, ValuePlace, Slot>));
  EXPECT_TRUE((!std::is_convertible_v<int, Slot> && !std::is_convertible_v<Slot, int>));
}

TEST(Places, AreNoneUnlessTheyAreNamed) {
  EXPECT_FALSE(Slot().exists());
  EXPECT_TRUE(Slot(0).exists());
  EXPECT_EQ(Slot() + 1, Slot(0));
  EXPECT_FALSE((ByPlace<Slot, int>(3).has(Slot())));
  EXPECT_FALSE((ByPlace<Slot, int>(3).has(Slot(3))));
  EXPECT_TRUE((ByPlace<Slot, int>(3).has(Slot(2))));
}

TEST(ListsByPlace, KeepsListsApart) {
  ListsByPlace<OpPlace, ValuePlace> lists;
  lists.add({ValuePlace(7), ValuePlace(8)});
  lists.add({});
  lists.add({ValuePlace(9)});
  const auto list = [&](std::size_t op) {
    const auto values = lists[OpPlace(op)];
    return std::vector<ValuePlace>(values.begin(), values.end());
  };
  EXPECT_THAT(list(0), ElementsAre(ValuePlace(7), ValuePlace(8)));
  EXPECT_THAT(list(1), ElementsAre());
  EXPECT_THAT(list(2), ElementsAre(ValuePlace(9)));
}

}  // namespace
}  // namespace remat::plan

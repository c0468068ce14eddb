#include "base/check.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remat {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::ThrowsMessage;

TEST(Check, PassesSilentlyIfTheConditionHolds) {
  EXPECT_NO_THROW(REMAT_CHECK(1 + 1 == 2, Error, "arithmetic is broken"));
}

TEST(Check, ThrowsTheNamedErrorWithTheFormattedMessage) {
  EXPECT_THAT([] { REMAT_CHECK(false, InvalidArgument, "expected {}, got {}", 6, "5"); },
              ThrowsMessage<InvalidArgument>("expected 6, got 5"));
  EXPECT_THAT([] { REMAT_CHECK(false, CheckpointError, "saved {}", 6); },
              ThrowsMessage<CheckpointError>("saved 6"));
}

TEST(Check, EvaluatesMessageArgumentsOnlyOnFailure) {
  int evaluations = 0;
  REMAT_CHECK(true, Error, "{}", ++evaluations);
  EXPECT_EQ(evaluations, 0);
}

TEST(Check, IsOneStatement) {
  bool otherwise = false;
  // NOLINTNEXTLINE(readability-braces-around-statements): that it works without is what is tested.
  if (otherwise)
    REMAT_CHECK(false, Error, "not reached");
  else  // NOLINT(readability-braces-around-statements)
    otherwise = true;
  EXPECT_TRUE(otherwise);
}

TEST(Assert, PassesSilentlyIfTheConditionHolds) { EXPECT_NO_THROW(REMAT_ASSERT(1 + 1 == 2)); }

TEST(Assert, SaysThatItIsABugOfRematAndWhere) {
  EXPECT_THAT([] { REMAT_ASSERT(1 + 1 == 3); },
              ThrowsMessage<Error>(MatchesRegex(
                  "remat: internal error, `1 \\+ 1 == 3` does not hold "
                  "\\(.*check_test.cc:[0-9]+\\)\\. This is a bug in remat, please report it\\.")));
}

TEST(Assert, NamesTheFileByItsPathInTheRepository) {
  EXPECT_THAT([] { assertion_failed("x", "/home/me/src/remat/src/plan/placement.cc", 7); },
              ThrowsMessage<Error>(HasSubstr("(src/plan/placement.cc:7)")));
}

TEST(Errors, AreAllRematErrorsAndRuntimeErrors) {
  EXPECT_THROW(fail<InvalidArgument>("x"), Error);
  EXPECT_THROW(fail<CheckpointError>("x"), Error);
  EXPECT_THROW(fail<Error>("x"), std::runtime_error);
}

}  // namespace
}  // namespace remat

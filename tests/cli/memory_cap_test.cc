// Trainings where the operating system sets the limit: what takes too much is killed, or gets no more.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/exit_status.h"
#include "tests/cli/run_remat.h"
#include "tests/cli/small_runs.h"
#include "tests/testing/memory_group.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::content_of;
using ::remat::testing::joined;
using ::remat::testing::json_of;
using ::remat::testing::MemoryGroup;
using ::remat::testing::run_remat;
using ::remat::testing::run_remat_in;
using ::remat::testing::TemporaryFile;
using ::remat::testing::tiny;

constexpr int kKilled = 128 + 9;

// What is resident is promised to grow by no more than this share of the tracked peak.
Bytes promised_growth(Bytes peak) { return peak * 110 / 100; }

class MemoryCap : public remat::testing::SmallRuns {
 protected:
  // Of activations that are hundreds of times what a tiny run has in tensors.
  Arguments training(const Arguments& more) const {
    return tiny("train", text_,
                joined({"--json", "--sample", "0", "--layers", "6", "--seq", "256", "--dim", "64",
                        "--heads", "4", "--batch", "12", "--steps", "5"},
                       more));
  }
};

TEST_F(MemoryCap, OfAControlGroupKillsThePlainTrainingAndNotTheSameWithinABudget) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer keeps memory of its own";
#endif
  std::string why_not;
  const auto small = MemoryGroup::make(why_not);
  if (!small) GTEST_SKIP() << why_not;
  const TemporaryFile plain_state(""), state("");
  const auto plain = json_of(run_remat(training({"--save", plain_state.path()})));
  ASSERT_TRUE(plain.is_object());
  const Bytes budget(plain.at("peak_bytes").get<std::int64_t>() / 2);
  // What the program takes with hardly any tensors, and what a budget promises beyond that.
  json_of(run_remat_in(*small, tiny("train", text_, {"--json", "--sample", "0"})));
  const auto cap = small->peak() + promised_growth(budget);

  const auto group = MemoryGroup::make(why_not);
  ASSERT_TRUE(group) << why_not;
  group->limit(cap);
  EXPECT_EQ(run_remat_in(*group, training({})).status, kKilled);
  EXPECT_EQ(group->killed(), 1);
  const auto capped =
      json_of(run_remat_in(*group, training({"--memory", std::to_string(budget.count()), "--effort",
                                             "20000", "--save", state.path()})));
  ASSERT_TRUE(capped.is_object()) << "budget " << budget.count() << ", cap " << cap.count();
  EXPECT_EQ(group->killed(), 1);
  EXPECT_GT(capped.at("budget").at("replays"), 0);
  EXPECT_EQ(capped.at("first_loss"), plain.at("first_loss"));
  EXPECT_EQ(capped.at("final_loss"), plain.at("final_loss"));
  EXPECT_EQ(content_of(state.path()), content_of(plain_state.path()));
}

}  // namespace
}  // namespace remat::cli

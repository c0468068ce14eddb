#include <cstdio>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/exit_status.h"
#include "tests/cli/run_here.h"
#include "tests/cli/run_remat.h"
#include "tests/cli/small_runs.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::content_of;
using ::remat::testing::lines_of;
using ::remat::testing::ProgramRun;
using ::remat::testing::run_here;
using ::remat::testing::run_remat;
using ::remat::testing::run_remat_and_interrupt;
using ::remat::testing::run_remat_and_kill;
using ::remat::testing::TemporaryFile;
using ::remat::testing::tiny;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Json = nlohmann::json;

class Resume : public remat::testing::SmallRuns {
 protected:
  ProgramRun train(const Arguments& more) const { return run_remat(tiny("train", text_, more)); }

  ProgramRun refused(const Arguments& more) const { return run_here(tiny("train", text_, more)); }

  TemporaryFile straight_{""};
  TemporaryFile halves_{""};
};

TEST_F(Resume, EqualsTheStraightRunBitForBit) {
  const auto straight = train({"--json", "--save", straight_.path()});
  ASSERT_EQ(straight.status, kDone) << straight.err;
  const auto first = train({"--steps", "6", "--policy", "full", "--save", halves_.path()});
  ASSERT_EQ(first.status, kDone) << first.err;
  EXPECT_NE(content_of(halves_.path()), content_of(straight_.path()));
  const auto second =
      train({"--json", "--policy", "sqrt", "--resume", halves_.path(), "--save", halves_.path()});
  ASSERT_EQ(second.status, kDone) << second.err;
  const auto summary = Json::parse(second.out);
  EXPECT_EQ(summary.at("steps"), 12);
  EXPECT_EQ(summary.at("resumed_at"), 6);
  EXPECT_EQ(summary.at("final_loss"), Json::parse(straight.out).at("final_loss"));
  EXPECT_EQ(content_of(halves_.path()), content_of(straight_.path()));
}

TEST_F(Resume, SavesWhatCtrlCInterrupts) {
  const auto run = run_remat_and_interrupt(
      tiny("train", text_, {"--json", "--steps", "100000", "--save", halves_.path()}));
  ASSERT_EQ(run.status, kInterrupted);
  const auto steps = Json::parse(run.out).at("steps").get<int>();
  const auto end = std::to_string(steps + 2);
  ASSERT_EQ(train({"--steps", end, "--resume", halves_.path(), "--save", halves_.path()}).status,
            kDone);
  ASSERT_EQ(train({"--steps", end, "--save", straight_.path()}).status, kDone);
  EXPECT_EQ(content_of(halves_.path()), content_of(straight_.path()));
}

TEST_F(Resume, ReachesTheSameEndThroughKills) {
  ASSERT_EQ(train({"--steps", "200", "--save", straight_.path()}).status, kDone);
  int kills = 0;
  for (int delay_ms : {10, 40, 20}) {
    Arguments more = {"--steps", "200", "--save-every", "1", "--save", halves_.path()};
    if (!content_of(halves_.path()).empty()) {
      more.insert(more.end(), {"--resume", halves_.path()});
    }
    const auto run = run_remat_and_kill(tiny("train", text_, more), delay_ms);
    if (run.status == kDone) GTEST_SKIP() << "this machine ends before the kill";
    ASSERT_EQ(run.status, 128 + 9) << run.err;
    ++kills;
  }
  EXPECT_GE(kills, 1);
  const auto last = train({"--steps", "200", "--resume", halves_.path(), "--save", halves_.path()});
  ASSERT_EQ(last.status, kDone) << last.err;
  EXPECT_EQ(content_of(halves_.path()), content_of(straight_.path()));
  std::remove((halves_.path() + ".tmp").c_str());
}

TEST_F(Resume, NamesTheOptionThatDiffers) {
  ASSERT_EQ(train({"--steps", "1", "--save", halves_.path()}).status, kDone);
  const auto saved = content_of(halves_.path());
  struct Case {
    Arguments more;
    std::vector<std::string> said;
  };
  const std::vector<Case> cases = {
      {{"--lr", "0.5"}, {"--lr 0.003, not with --lr 0.5", "give --lr 0.003"}},
      {{"--layers", "2"}, {"--layers 4, not with --layers 2"}},
      {{"--dim", "32"}, {"--dim 16, not with --dim 32"}},
      {{"--batch", "3"}, {"--batch 2, not with --batch 3"}},
      {{"--dropout", "0"}, {"--dropout 0.1, not with --dropout 0"}},
      {{"--seed", "9"}, {"--seed 1, not with --seed 9"}},
      {{"--text", "/usr/share/common-licenses/GPL-3"}, {"another text", "name the text"}},
      {{"--steps", "1"}, {"has 1 steps behind it", "raise --steps"}},
  };
  for (const auto& bad : cases) {
    auto more = bad.more;
    more.insert(more.end(), {"--resume", halves_.path(), "--save", halves_.path()});
    const auto run = refused(more);
    EXPECT_EQ(run.status, kUsage) << run.err;
    EXPECT_THAT(lines_of(run.err), SizeIs(1)) << run.err;
    EXPECT_THAT(run.err, HasSubstr("--resume " + halves_.path()));
    for (const auto& said : bad.said) EXPECT_THAT(run.err, HasSubstr(said));
  }
  EXPECT_EQ(content_of(halves_.path()), saved);
}

TEST_F(Resume, RefusesWhatIsBrokenOrForeign) {
  const auto foreign = refused({"--resume", text_.path()});
  EXPECT_EQ(foreign.status, kFailed);
  EXPECT_THAT(lines_of(foreign.err), SizeIs(1));
  EXPECT_THAT(foreign.err, HasSubstr("is not a training state of remat"));
  const auto missing = refused({"--resume", "/no/such/file"});
  EXPECT_EQ(missing.status, kUsage);
  const auto over_text = refused({"--save", text_.path()});
  EXPECT_EQ(over_text.status, kUsage);
  EXPECT_THAT(over_text.err, HasSubstr("would replace a file that is not a training state"));
  EXPECT_EQ(content_of(text_.path()), remat::testing::repetitive_text());
  const auto nowhere = refused({"--save", "/no/such/folder/x"});
  EXPECT_EQ(nowhere.status, kFailed);
  EXPECT_THAT(nowhere.err, AllOf(HasSubstr("--save /no/such/folder/x"), HasSubstr("No such file")));
  const auto alone = refused({"--save-every", "3"});
  EXPECT_EQ(alone.status, kUsage);
  EXPECT_THAT(alone.err, HasSubstr("--save-every 3 needs --save"));
}

}  // namespace
}  // namespace remat::cli

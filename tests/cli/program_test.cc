#include "cli/program.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <remat/version.h>

#include "tests/cli/run_here.h"
#include "tests/cli/run_remat.h"
#include "tests/cli/small_runs.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::lines_of;
using ::remat::testing::ProgramRun;
using ::remat::testing::run_here;
using ::remat::testing::run_remat;
using ::remat::testing::TemporaryFile;
using ::remat::testing::tiny;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct BadInput {
  Arguments arguments;
  std::vector<std::string> said;  // what the one line names
};

void expect_usage_error(const BadInput& bad, const ProgramRun& run) {
  SCOPED_TRACE(::testing::PrintToString(bad.arguments));
  EXPECT_EQ(run.status, kUsage);
  EXPECT_THAT(run.out, IsEmpty());
  ASSERT_THAT(lines_of(run.err), ::testing::SizeIs(1)) << run.err;
  for (const auto& said : bad.said) EXPECT_THAT(run.err, HasSubstr(said));
}

TEST(BadInput, VerbsAndFlags) {
  const std::vector<BadInput> cases = {
      {{}, {"remat: ", "train, verify, profile, plan or sample", "--help"}},
      {{"trian"}, {"\"trian\"", "see remat --help"}},
      {{"--steps", "3"}, {"\"--steps\""}},
      {{"--policy", "sqrt", "train"}, {"\"--policy\""}},
      {{"train", "--polcy", "full"}, {"\"--polcy\"", "see remat train --help"}},
      {{"train", "-x"}, {"\"-x\""}},
      {{"train", "verify"}, {"\"verify\""}},
      {{"verify", "--policy", "full", "sqrt"}, {"\"sqrt\"", "see remat verify --help"}},
      {{"train", "two\nlines"}, {"two\\x0alines"}},
      {{"train", "--json=3"}, {"json"}},
      {{"train", "--policy"}, {"--policy"}},
      {{"train", "--batch", "2", "--batch", "3"}, {"--batch"}},
      {{"train"}, {"--text is required", "as in --text notes.txt"}},
      {{"verify", "--json"}, {"--text is required"}},
      {{"verify", "--text", ""}, {"--text is required"}},
  };
  for (const auto& bad : cases) expect_usage_error(bad, run_here(bad.arguments));
}

TEST(BadInput, Numbers) {
  const TemporaryFile file("some text");
  for (const char* flag :
       {"--layers", "--dim", "--heads", "--seq", "--batch", "--steps", "--threads"}) {
    for (const char* value : {"0", "-4", "+4", "1.5", "1e3", "0x10", "", " 4", "many",
                              "99999999999999999999", "9223372036854775807"}) {
      const BadInput bad{{"train", "--text", file.path(), flag, value},
                         {flag, "must be a whole number from 1 to", std::string("not \"") + value}};
      expect_usage_error(bad, run_here(bad.arguments));
    }
  }
  for (const char* value : {"nan", "inf", "0", "-1", "1e999", "1e-999", "fast", "", "1,5"}) {
    const BadInput bad{{"train", "--text", file.path(), "--lr", value},
                       {"--lr", "must be a number above 0", std::string("not \"") + value}};
    expect_usage_error(bad, run_here(bad.arguments));
  }
  for (const char* value : {"nan", "-0.1", "1", "1.5", "inf", "half"}) {
    const BadInput bad{{"verify", "--text", file.path(), "--dropout", value}, {"--dropout", value}};
    expect_usage_error(bad, run_here(bad.arguments));
  }
  const BadInput seed{{"train", "--text", file.path(), "--seed", "-1"}, {"--seed", "-1"}};
  expect_usage_error(seed, run_here(seed.arguments));
  const BadInput repeat{{"verify", "--text", file.path(), "--repeat", "0"}, {"--repeat", "\"0\""}};
  expect_usage_error(repeat, run_here(repeat.arguments));
}

TEST(BadInput, SizesThatDoNotGoTogether) {
  const TemporaryFile file(remat::testing::repetitive_text());
  const std::vector<BadInput> cases = {
      {tiny("train", file, {"--heads", "5", "--dim", "256"}),
       {"--heads 5 does not divide --dim 256", "try --heads 4"}},
      {tiny("train", file, {"--policy", "segments:9"}), {"--policy", "segments:9", "there are 4"}},
      {tiny("verify", file, {"--policy", "full", "--policy", "segments:9"}), {"segments:9"}},
      {tiny("train", file, {"--seq", "20000"}), {file.path(), "--seq 20000"}},
  };
  for (const auto& bad : cases) expect_usage_error(bad, run_here(bad.arguments));
}

TEST(BadInput, Models) {
  const TemporaryFile file(remat::testing::repetitive_text());
  const std::vector<BadInput> cases = {
      {tiny("train", file, {"--model", "gpt3"}),
       {"--model", "must be gpt2 or llama, not \"gpt3\""}},
      {tiny("verify", file, {"--model", ""}), {"--model", "must be gpt2 or llama, not \"\""}},
      {tiny("train", file, {"--model", "0"}), {"--model", "not \"0\""}},
      {tiny("verify", file, {"--attention", "flash"}),
       {"--attention", "must be materialized or efficient, not \"flash\""}},
      {tiny("train", file, {"--attention", "efficient\n"}), {"--attention", "efficient\\"}},
      {tiny("train", file, {"--kv-heads", "0"}), {"--kv-heads", "\"0\""}},
      {tiny("train", file, {"--kv-heads", "1"}), {"--kv-heads 1 with --model gpt2"}},
      {tiny("verify", file, {"--model", "llama", "--heads", "4", "--kv-heads", "3"}),
       {"--kv-heads 3 does not divide --heads 4", "try --kv-heads 2"}},
      {tiny("train", file, {"--model", "llama", "--heads", "16"}),
       {"--heads 16 gives heads of 1 channels", "try --heads 8"}},
      {tiny("train", file, {"--model", "llama", "--heads", "1", "--dim", "7"}),
       {"--dim 7", "must be even", "try --dim 8"}},
      {tiny("verify", file, {"--attention", "efficient", "--dropout", "0.2"}),
       {"--attention efficient", "--dropout is 0.2", "give --dropout 0"}},
      {tiny("verify", file, {"--attention", "efficient"}), {"--dropout is 0.1 unless given"}},
  };
  for (const auto& bad : cases) expect_usage_error(bad, run_here(bad.arguments));
}

TEST(BadInput, Policies) {
  const TemporaryFile file(remat::testing::repetitive_text());
  for (const char* policy : {"blocks", "", "every", "every:0", "every:-1", "segments:x", "SQRT",
                             "every:99999999999999999999"}) {
    for (const char* verb : {"train", "verify"}) {
      const BadInput bad{tiny(verb, file, {"--policy", policy}),
                         {"--policy", policy, "none, full, every:K, segments:N or sqrt"}};
      expect_usage_error(bad, run_here(bad.arguments));
    }
  }
}

TEST(BadInput, Texts) {
  const TemporaryFile empty("");
  const TemporaryFile brief("brief");
  const std::vector<BadInput> cases = {
      {{"train", "--text", "/no/such/file"}, {"--text /no/such/file", "No such file"}},
      {{"verify", "--text", "/tmp"}, {"--text /tmp: is a directory"}},
      {{"train", "--text", "/dev/zero"}, {"/dev/zero"}},
      {{"train", "--text", empty.path()}, {empty.path(), "is empty"}},
      {{"verify", "--text", brief.path()}, {"has 5 bytes", "--seq 256"}},
  };
  for (const auto& bad : cases) expect_usage_error(bad, run_here(bad.arguments));
}

TEST(Program, GivesItsStatusToTheShell) {
  const BadInput bad{{"train", "--batch", "0"}, {"--batch", "\"0\""}};
  expect_usage_error(bad, run_remat(bad.arguments));
  EXPECT_EQ(run_remat({"--help"}).status, kDone);
}

TEST(Program, HelpsAtBothLevels) {
  const auto top = run_here({"--help"});
  EXPECT_EQ(top.status, kDone);
  EXPECT_THAT(top.err, IsEmpty());
  EXPECT_THAT(top.out, AllOf(HasSubstr("train"), HasSubstr("verify"), HasSubstr("--version")));
  for (const char* verb : {"train", "verify"}) {
    const auto help = run_here({verb, "--help"});
    EXPECT_EQ(help.status, kDone);
    EXPECT_THAT(help.err, IsEmpty());
    for (const char* flag : {"--text", "--model", "--layers", "--dim", "--heads", "--kv-heads",
                             "--seq", "--batch", "--dropout", "--attention", "--steps", "--lr",
                             "--seed", "--threads", "--policy", "--json"}) {
      EXPECT_THAT(help.out, HasSubstr(flag)) << verb;
    }
    EXPECT_THAT(help.out, HasSubstr("none, full, every:K, segments:N or sqrt")) << verb;
    EXPECT_THAT(help.out, HasSubstr("gpt2 or llama")) << verb;
    EXPECT_THAT(help.out, HasSubstr("materialized or efficient")) << verb;
  }
  // CLI11 2.1 writes a default as N=5, 2.4 as N [5].
  EXPECT_THAT(run_here({"verify", "--help"}).out, AllOf(ContainsRegex("--repeat N(=5| \\[5\\])"),
                                                        ContainsRegex("--seq N(=256| \\[256\\])")));
}

TEST(Program, TellsItsVersion) {
  const auto run = run_here({"--version"});
  EXPECT_EQ(run.status, kDone);
  EXPECT_THAT(lines_of(run.out), ElementsAre("remat " REMAT_VERSION_STRING));
}

TEST(Program, ReadsLeadingZerosAsDecimal) {
  const TemporaryFile file(remat::testing::repetitive_text());
  const auto run = run_here(tiny("train", file, {"--heads", "010"}));  // octal 8 would divide 16
  EXPECT_THAT(run.err, HasSubstr("--heads 10 does not divide --dim 16"));
}

}  // namespace
}  // namespace remat::cli

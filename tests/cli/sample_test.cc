#include "cli/sample.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/state_file.h"
#include "tests/cli/run_here.h"
#include "tests/cli/small_runs.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::content_of;
using ::remat::testing::expect_refused;
using ::remat::testing::joined;
using ::remat::testing::lines_of;
using ::remat::testing::run_here;
using ::remat::testing::run_remat_on_terminal;
using ::remat::testing::TemporaryFile;
using ::remat::testing::tiny;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using Json = nlohmann::json;

class Sample : public remat::testing::SmallRuns {
 protected:
  void train(const Arguments& more = {}) const {
    const auto run =
        run_here(tiny("train", text_, joined(more, {"--sample", "0", "--save", state_.path()})));
    ASSERT_EQ(run.status, kDone) << run.err;
  }

  testing::ProgramRun sample(const Arguments& more) const {
    return run_here(joined({"sample", "--load", state_.path(), "--threads", "1"}, more));
  }

  TemporaryFile state_{""};
};

TEST_F(Sample, ContinuesThePromptWithAsManyBytes) {
  train();
  const auto run = sample({"--prompt", "the quick", "--tokens", "17"});
  EXPECT_EQ(run.status, kDone) << run.err;
  EXPECT_THAT(run.out, AllOf(::testing::StartsWith("the quick"), SizeIs(9 + 17 + 1)));
  EXPECT_EQ(sample({"--prompt", "", "--tokens", "5"}).out.size(), 6u);
}

TEST_F(Sample, DependsOnTheFlagsAlone) {
  train();
  const Arguments flags = {"--tokens", "40", "--seed", "4"};
  const auto text = sample(flags).out;
  EXPECT_EQ(sample(flags).out, text);
  EXPECT_NE(sample({"--tokens", "40", "--seed", "5"}).out, text);
  const auto likeliest = sample({"--tokens", "40", "--temperature", "0"}).out;
  EXPECT_EQ(sample({"--tokens", "40", "--top-k", "1"}).out, likeliest);
  EXPECT_EQ(sample({"--tokens", "40", "--seed", "4", "--top-k", "0"}).out, text);
}

TEST_F(Sample, WritesWhatTheTextTaught) {
  train({"--model", "llama", "--steps", "300", "--batch", "4", "--lr", "0.01"});
  const auto run = sample({"--prompt", "the quick br", "--tokens", "30", "--temperature", "0"});
  EXPECT_THAT(run.out, HasSubstr("the quick brown fox jumps over"));
}

TEST_F(Sample, LoadsEveryModel) {
  for (const auto& model : remat::testing::all_models()) {
    train(joined(model, {"--steps", "2"}));
    const auto report = Json::parse(sample({"--json", "--tokens", "3", "--prompt", "x"}).out);
    EXPECT_EQ(report.at("prompt"), "x");
    EXPECT_EQ(report.at("tokens"), 3);
    EXPECT_EQ(report.at("seed"), 1);
    EXPECT_FALSE(report.at("text").get<std::string>().empty());
  }
}

TEST_F(Sample, IsSafeOnATerminal) {
  EXPECT_EQ(printable_lines("one\ntwo\x1b[2J\n\nthree"), "one\ntwo\\x1b[2J\n\nthree\n");
  EXPECT_EQ(printable_lines(""), "");
}

TEST_F(Sample, RefusesWhatCannotBe) {
  train({"--steps", "1"});
  const std::vector<Refused> cases = {
      {{"--top-k", "-1"}, "--top-k: must be a whole number from 0 to 256"},
      {{"--top-k", "257"}, "--top-k"},
      {{"--temperature", "-0.5"}, "--temperature: must be a number, 0 or above"},
      {{"--temperature", "nan"}, "--temperature"},
      {{"--tokens", "0"}, "--tokens: must be a whole number from 1"},
      {{"--device", "cuda:63"}, "--device cuda:63"},
  };
  for (const auto& [more, said] : cases) expect_refused(sample(more), HasSubstr(said));
  const auto nothing = run_here({"sample"});
  expect_refused(nothing, HasSubstr("--load is required"));
  const auto foreign = run_here({"sample", "--load", text_.path()});
  EXPECT_EQ(foreign.status, kFailed);
  EXPECT_THAT(foreign.err,
              AllOf(HasSubstr("--load " + text_.path()),
                    HasSubstr("is not a training state of remat"), Not(HasSubstr("--resume"))));
  EXPECT_EQ(run_here({"sample", "--load", "/no/such/file"}).status, kUsage);
}

TEST_F(Sample, NamesWhatAStateLacks) {
  train({"--steps", "1"});
  const auto state = read_state_file(state_.path());
  auto changed = state;
  changed.tensors.pop_back();
  while (changed.tensors.back().name != "parameter/token_embedding.weight") {
    changed.tensors.pop_back();
  }
  write_state_file(state_.path(), changed.state, changed.tensors);
  EXPECT_THAT(sample({}).err, HasSubstr("does not hold position_embedding.weight"));
  for (const auto& [key, value] :
       {std::pair<const char*, Json>{"--model", "gpt9"}, {"--layers", "many"}, {"--dim", 17}}) {
    changed = state;
    changed.state["options"][key] = value;
    write_state_file(state_.path(), changed.state, changed.tensors);
    const auto run = sample({});
    EXPECT_NE(run.status, kDone);
    EXPECT_THAT(lines_of(run.err), SizeIs(1)) << run.err;
  }
}

TEST_F(Sample, EndsATraining) {
  const auto run = run_here(tiny("train", text_, {"--sample", "10"}));
  EXPECT_THAT(run.out, HasSubstr("\nThe model writes:\n"));
  EXPECT_THAT(run_here(tiny("train", text_, {"--sample", "0"})).out, Not(HasSubstr("writes")));
  EXPECT_FALSE(Json::parse(run_here(tiny("train", text_, {"--json"})).out).contains("sample"));
  const auto summary = Json::parse(run_here(tiny("train", text_, {"--json", "--sample", "9"})).out);
  EXPECT_FALSE(summary.at("sample").get<std::string>().empty());
}

// What is saved is the state before the sample, and sampling changes nothing of it.
TEST_F(Sample, LeavesTheTrainingAsItWas) {
  train();
  const auto saved = content_of(state_.path());
  const TemporaryFile other("");
  run_here(tiny("train", text_, {"--sample", "5", "--save", other.path()}));
  EXPECT_EQ(content_of(other.path()), saved);
  run_here(
      tiny("train", text_,
           {"--steps", "14", "--resume", other.path(), "--sample", "9", "--save", other.path()}));
  run_here(tiny("train", text_, {"--steps", "14", "--sample", "0", "--save", state_.path()}));
  EXPECT_EQ(content_of(other.path()), content_of(state_.path()));
}

}  // namespace
}  // namespace remat::cli

#include "cli/train.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/run_remat.h"
#include "tests/cli/small_runs.h"

namespace remat::cli {
namespace {

using ::remat::testing::expect_refused;
using ::remat::testing::lines_of;
using ::remat::testing::run_remat;
using ::remat::testing::run_remat_and_interrupt;
using ::remat::testing::run_remat_on_terminal;
using ::remat::testing::TemporaryFile;
using ::remat::testing::tiny;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using Json = nlohmann::json;

class Train : public remat::testing::SmallRuns {};

TEST_F(Train, PrintsPlainLinesAndASummary) {
  const auto run = run_remat(tiny("train", text_));
  EXPECT_EQ(run.status, kDone);
  const auto progress = lines_of(run.err);
  ASSERT_THAT(progress, SizeIs(::testing::Ge(2u)));
  EXPECT_THAT(progress, Each(AllOf(HasSubstr("loss "), HasSubstr(" tokens/s"), HasSubstr("peak "),
                                   HasSubstr(" left"), Not(HasSubstr("\x1b")))));
  EXPECT_THAT(progress.front(), ::testing::StartsWith("step 1/12 "));
  EXPECT_THAT(progress.back(), AllOf(::testing::StartsWith("step 12/12 "), HasSubstr("0:00 left")));
  EXPECT_THAT(run.out, AllOf(HasSubstr("policy      none"), HasSubstr("12 of 12"),
                             HasSubstr(" tokens/s"), HasSubstr(" tracked"), Not(HasSubstr("\r"))));
}

TEST_F(Train, LearnsAndReportsItAsJson) {
  const auto run = run_remat(tiny("train", text_, {"--steps", "60", "--json", "--policy", "sqrt"}));
  EXPECT_EQ(run.status, kDone);
  const auto summary = Json::parse(run.out);
  EXPECT_EQ(summary.at("policy"), "sqrt");
  EXPECT_EQ(summary.at("steps"), 60);
  EXPECT_EQ(summary.at("interrupted"), false);
  EXPECT_NEAR(summary.at("first_loss").get<double>(), 5.55, 0.2);
  EXPECT_LT(summary.at("final_loss").get<double>(), 4.0);
  EXPECT_GT(summary.at("tokens_per_s").get<double>(), 0.0);
  EXPECT_GT(summary.at("peak_bytes").get<std::int64_t>(), 0);
  EXPECT_GT(summary.at("step_ns").get<std::int64_t>(), 0);
}

TEST_F(Train, EndsAtTheSameLossUnderEveryPolicy) {
  std::vector<double> losses;
  std::vector<std::int64_t> peaks;
  for (const char* policy : {"none", "full", "every:3"}) {
    const auto run = run_remat(tiny("train", text_, {"--json", "--policy", policy}));
    ASSERT_EQ(run.status, kDone) << run.err;
    losses.push_back(Json::parse(run.out).at("final_loss"));
    peaks.push_back(Json::parse(run.out).at("peak_bytes"));
  }
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_EQ(losses[0], losses[2]);
  EXPECT_LT(peaks[1], peaks[0]);
}

TEST_F(Train, TrainsEveryModelAlikeUnderEveryPolicy) {
  for (const auto& model : remat::testing::all_models()) {
    SCOPED_TRACE(::testing::PrintToString(model));
    std::vector<double> losses;
    for (const char* policy : {"none", "sqrt"}) {
      const auto run = run_remat(
          tiny("train", text_, remat::testing::joined(model, {"--json", "--policy", policy})));
      ASSERT_EQ(run.status, kDone) << run.err;
      const auto summary = Json::parse(run.out);
      const double first_loss = summary.at("first_loss");
      losses.push_back(summary.at("final_loss"));
      EXPECT_LT(losses.back(), first_loss);
    }
    EXPECT_EQ(losses[0], losses[1]);
  }
}

TEST_F(Train, DependsOnTheSeedAlone) {
  const auto final_loss = [this](const char* seed) {
    const auto run = run_remat(tiny("train", text_, {"--json", "--seed", seed}));
    return Json::parse(run.out).at("final_loss").get<double>();
  };
  const auto loss = final_loss("5");
  EXPECT_EQ(loss, final_loss("5"));
  EXPECT_NE(loss, final_loss("6"));
}

TEST_F(Train, RedrawsOneLineThatFitsTheTerminal) {
  for (const unsigned short columns : {20, 40, 200}) {
    const auto run = run_remat_on_terminal(tiny("train", text_, {"--sample", "0"}), columns);
    EXPECT_EQ(run.status, kDone);
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    EXPECT_THAT(run.err, AllOf(::testing::StartsWith("\rstep 1/12"), HasSubstr("\rstep 12/12")));
    EXPECT_EQ(run.err.find(" left") != std::string::npos, columns == 200);
    for (std::size_t at = 0; (at = run.err.find("\rstep", at)) != std::string::npos; ++at) {
      EXPECT_LT(run.err.find("\x1b[K", at) - at - 1, columns);
    }
    EXPECT_THAT(lines_of(run.out), SizeIs(6));
  }
}

TEST_F(Train, StopsAfterTheStepWhenInterrupted) {
  const auto run = run_remat_and_interrupt(tiny("train", text_, {"--steps", "100000", "--json"}));
  EXPECT_EQ(run.status, kInterrupted);
  const auto summary = Json::parse(run.out);
  EXPECT_EQ(summary.at("interrupted"), true);
  EXPECT_GE(summary.at("steps").get<int>(), 1);
  EXPECT_LT(summary.at("steps").get<int>(), 100000);
}

TEST_F(Train, FailsWhenItDiverges) {
  const auto run = run_remat(tiny("train", text_, {"--lr", "1e30"}));
  EXPECT_EQ(run.status, kFailed);
  EXPECT_THAT(run.out, ::testing::IsEmpty());
  EXPECT_THAT(lines_of(run.err).back(),
              AllOf(HasSubstr("not a finite number"), HasSubstr("try a --lr below 1e+30")));
}

// The mask alone, seq x seq bytes, is more than any address space holds.
TEST_F(Train, SaysWhenMemoryDoesNotSuffice) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer ends a program that asks for that much";
#endif
  const TemporaryFile large(std::string((1 << 24) + 1, 'x'));
  const auto run = run_remat(
      tiny("train", large,
           {"--seq", "16777216", "--layers", "1", "--dim", "1", "--heads", "1", "--batch", "1"}));
  expect_refused(run, AllOf(HasSubstr("out of memory"), HasSubstr("--batch")), kFailed);
}

}  // namespace
}  // namespace remat::cli

// `remat train --memory`: the same training within a number of bytes.
#include "cli/budget_run.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/memory.h>

#include "cli/train.h"
#include "tests/cli/run_remat.h"
#include "tests/cli/small_runs.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::content_of;
using ::remat::testing::expect_refused;
using ::remat::testing::joined;
using ::remat::testing::json_of;
using ::remat::testing::run_here;
using ::remat::testing::run_remat;
using ::remat::testing::TemporaryFile;
using ::remat::testing::tiny;
using ::remat::testing::wide;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class BudgetRun : public remat::testing::SmallRuns {
 protected:
  Json train(const Arguments& more) const {
    return json_of(run_remat(tiny("train", text_, joined(wide({"--json"}), more))));
  }
};

TEST_F(BudgetRun, TrainsToTheSameLossWithinHalfTheActivations) {
  const std::vector<Arguments> trainings = {
      {},  // with dropout
      {"--accumulate", "2"},
      {"--clip", "1", "--dtype", "bf16", "--model", "llama", "--dropout", "0.2"},
      {"--val-fraction", "0.3", "--val-every", "3"}};
  for (const auto& training : trainings) {
    SCOPED_TRACE(::testing::PrintToString(training));
    const auto plain = train(training);
    const auto within = train(joined({"--memory", "50%"}, training));
    ASSERT_TRUE(plain.is_object() && within.is_object());
    EXPECT_EQ(within.at("first_loss"), plain.at("first_loss"));
    EXPECT_EQ(within.at("final_loss"), plain.at("final_loss"));
    const auto& budget = within.at("budget");
    EXPECT_LT(budget.at("budget_bytes"), plain.at("peak_bytes"));
    EXPECT_LE(within.at("peak_bytes"), budget.at("budget_bytes"));
    EXPECT_LE(budget.at("tracked_peak_bytes"), budget.at("budget_bytes"));
    EXPECT_EQ(budget.at("planned"), true);
    EXPECT_GT(budget.at("replays"), 0);
    EXPECT_LE(budget.at("predicted_peak_bytes"), budget.at("budget_bytes"));
    EXPECT_GE(budget.at("predicted_overhead_percent"), budget.at("lower_bound_overhead_percent"));
  }
}

TEST_F(BudgetRun, SavesTheSameState) {
  const TemporaryFile plain(""), within("");
  train({"--save", plain.path()});
  train({"--save", within.path(), "--memory", "50%"});
  EXPECT_EQ(content_of(plain.path()), content_of(within.path()));
}

TEST_F(BudgetRun, TakesASizeAndSaysHowItWent) {
  const auto run = run_remat(tiny("train", text_, {"--memory", "1GiB", "--sample", "0"}));
  ASSERT_EQ(run.status, kDone) << run.err;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("budget      1.00 GiB; last step "), HasSubstr(" tracked, 0 of "),
                    HasSubstr("plan        "), HasSubstr("0.00 % slower predicted")));
}

TEST_F(BudgetRun, WritesItsReport) {
  const TemporaryFile report("");
  const auto summary = train({"--memory", "1GiB", "--report", report.path()});
  EXPECT_EQ(Json::parse(content_of(report.path())), summary.at("budget"));
  EXPECT_EQ(summary.at("budget").at("plans").size(), 1U);
  const auto without = run_here(tiny("train", text_, {"--report", report.path()}));
  EXPECT_EQ(without.status, kUsage);
  EXPECT_THAT(without.err, AllOf(HasSubstr("--report "), HasSubstr("needs --memory")));
}

TEST_F(BudgetRun, ExitsWithThreeWhereAStepDoesNotFit) {
  const auto run = run_remat(tiny("train", text_, {"--memory", "100KiB"}));
  expect_refused(run, AllOf(HasSubstr("remat train: "), HasSubstr("aten::")), kNoPlanFits);
}

TEST_F(BudgetRun, RefusesWhatCannotBe) {
  expect_usage_errors("train", {
                                   {{"--memory", "1GiB", "--policy", "sqrt"}, "leave --policy out"},
                                   {{"--policy", "budget:50%"}, "a budget is given by --memory"},
                                   {{"--memory", "0"}, "--memory"},
                                   {{"--memory", "0%"}, "1% to 100%"},
                                   {{"--memory", "101%"}, "1% to 100%"},
                                   {{"--memory", "5.5%"}, "1% to 100%"},
                                   {{"--memory", "%"}, "1% to 100%"},
                                   {{"--memory", "lots"}, "\"lots\" is not a size: write 123"},
                                   {{"--memory", "1EB"}, "activations, 1% to 100%"},
                                   {{"--effort", "9"}, "--effort 9 needs --memory"},
                                   {{"--memory", "1GiB", "--effort", "0"},
                                    "--effort: must be a whole number from 1"},
                               });
}

/// What it says of steps of which none is like the one before, each with ten values of more and more numbers.
std::string error_of_other_steps(Bytes memory) {
  Budget budget({memory, 1000});
  std::int64_t numbers = 4096;
  try {
    settle(budget, [&] {
      const Step step(budget);
      at::Tensor x = torch::linspace(-1, 1, numbers++, torch::requires_grad());
      for (int i = 0; i < 10; ++i) x = x.sin();
      x.sum().backward();
    });
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

// Breaks if: who has given no budget, as in `remat profile`, is told to give a larger one.
TEST(Settling, SaysWhyStepsDoNot) {
  EXPECT_THAT(
      error_of_other_steps(Bytes::parse("1TiB")),
      AllOf(HasSubstr("no plan for 1.00 TiB held in 16 steps: memory did not run out, but "),
            HasSubstr(" plans were made and 0 operators turned out not to repeat")));
  EXPECT_THAT(error_of_other_steps(*live_cpu_bytes() + Bytes(8 * 4096 * 4)),
              HasSubstr("held in 16 steps: memory ran out in the last one: give the budget more"));
}

}  // namespace
}  // namespace remat::cli

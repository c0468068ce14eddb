#include "cli/verify_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace remat::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Verification with_one_run(bool loss, bool gradients, bool buffers) {
  Verification verification;
  verification.threads = 3;
  verification.blas = "openblas-openmp";
  verification.fixed = Bytes(1000);
  verification.plain.forward_ns = {10, 20, 30};
  verification.plain.step_ns = {1000, 2000, 3000};
  verification.plain.peak = Bytes(5000);
  verification.plain.resident = Bytes(6 << 20);
  PolicyRun run;
  run.policy = Placement::full();
  run.plain = verification.plain;
  run.measured.forward_ns = {20, 20, 30};
  run.measured.step_ns = {1500, 5000, 4500};
  run.measured.peak = Bytes(2000);
  run.measured.recomputed_calls = 4;
  run.loss_identical = loss;
  run.gradients_identical = gradients;
  run.buffers_identical = buffers;
  verification.runs.push_back(run);
  return verification;
}

std::string text_of(const Verification& verification) {
  return text_report(verification, VerifyOptions(), 1'000'000);
}

TEST(VerifyReport, JsonHasMediansAndBytes) {
  const auto report = nlohmann::json::parse(json_report(with_one_run(true, false, true)));
  const auto expected = nlohmann::json::parse(R"({
    "threads": 3, "blas": "openblas-openmp",
    "plain": {"peak_bytes": 5000, "rss_peak_bytes": 6291456, "fixed_bytes": 1000, "step_ns": 2000, "forward_ns": 20},
    "runs": [{"policy": "full", "peak_bytes": 2000, "rss_peak_bytes": null, "step_ns": 4500, "forward_ns": 20,
              "gradients_identical": false, "buffers_identical": true, "loss_identical": true,
              "recomputed_calls": 4}]})");
  EXPECT_EQ(report, expected);
}

TEST(VerifyReport, PairsTheTimesOfARepeat) {
  const auto text = text_of(with_one_run(true, true, true));
  // Activations 1000 of 4000 bytes; steps 1.5, 2.5 and 1.5 times plain's; forwards 2, 1 and 1 times.
  EXPECT_THAT(text, ::testing::ContainsRegex("full +.*0\\.25 .* 1\\.50 +1\\.00 +4 +yes"));
  EXPECT_THAT(text, AllOf(HasSubstr("bit for bit"), Not(HasSubstr("DIFFERS"))));
}

Verification within(Bytes budget) {
  auto verification = with_one_run(true, true, true);
  auto& run = verification.runs[0];
  run.policy = Policy::parse("budget:25%");
  run.budget.emplace();
  run.budget->memory = budget;
  run.budget->tracked_peak = run.measured.peak;
  run.budget->predicted_peak = Bytes(1900);
  run.budget->plain_time = std::chrono::nanoseconds(1000);
  run.budget->predicted_time = std::chrono::nanoseconds(1100);
  run.budget->lower_bound_time = std::chrono::nanoseconds(1080);
  run.budget->replays = 7;
  return verification;
}

TEST(VerifyReport, JsonHasBudgets) {
  const auto run = nlohmann::json::parse(json_report(within(Bytes(2000)))).at("runs").at(0);
  EXPECT_EQ(run.at("policy"), "budget:25%");
  EXPECT_EQ(run.at("budget_bytes"), 2000);
  EXPECT_EQ(run.at("predicted_peak_bytes"), 1900);
  EXPECT_NEAR(run.at("lower_bound_overhead_percent"), 8, 1e-9);
}

TEST(VerifyReport, ShowsBudgetsWithTheirPlans) {
  const auto text = text_of(within(Bytes(2000)));
  EXPECT_THAT(text, ::testing::ContainsRegex("budget:25% .* 1\\.50 +1\\.00 +7 ops +yes"));
  EXPECT_THAT(text,
              HasSubstr("budget:25% is 1.95 KiB: plan of 1.86 KiB at its peak, 10.0 % slower, no "
                        "plan less than 8.0 %\n"));
  EXPECT_THAT(text, Not(HasSubstr("EXCEEDS")));
}

TEST(VerifyReport, SaysWhatTookMoreThanItsBudget) {
  EXPECT_TRUE(within(Bytes(2000)).within_budgets());
  EXPECT_FALSE(within(Bytes(1999)).within_budgets());
  EXPECT_THAT(text_of(within(Bytes(1999))),
              HasSubstr("EXCEEDS its budget of 1999 bytes: budget:25%, 2000 at its peak\n"));
}

// The plain steps of a budget's repeats are others than those of the other policies.
TEST(VerifyReport, PairsTheTimesOfABudgetWithItsOwnPlainSteps) {
  auto verification = within(Bytes(2000));
  verification.runs[0].plain.step_ns = {500, 2500, 1500};
  EXPECT_THAT(text_of(verification), ::testing::ContainsRegex("budget:25% .* 3\\.00 +1\\.00"));
}

TEST(VerifyReport, ShowsResidentMemoryBesideTheTrackedPeak) {
  const auto text = text_of(with_one_run(true, true, true));
  EXPECT_THAT(text, ::testing::ContainsRegex("plain +4\\.88 KiB +6\\.00 MiB "));
  EXPECT_THAT(text, ::testing::ContainsRegex("full +1\\.95 KiB +- "));
}

TEST(VerifyReport, SaysWhatDiffers) {
  EXPECT_THAT(text_of(with_one_run(false, true, true)),
              AllOf(HasSubstr("NO"), HasSubstr("DIFFERS from plain under full: loss\n")));
  EXPECT_THAT(text_of(with_one_run(true, false, false)),
              HasSubstr("DIFFERS from plain under full: gradients buffers\n"));
  EXPECT_FALSE(with_one_run(true, false, true).identical());
  EXPECT_FALSE(with_one_run(true, true, false).identical());
  EXPECT_TRUE(with_one_run(true, true, true).identical());
}

}  // namespace
}  // namespace remat::cli

#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/memory.h>

#include "base/process_memory.h"

namespace remat {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kEffort = 100'000;

BudgetReport a_report() {
  BudgetReport report;
  report.memory = Bytes(1024 * kMiB);
  report.fixed = Bytes(256 * kMiB);
  report.tracked_peak = Bytes(1000 * kMiB);
  report.planned = true;
  report.predicted_peak = Bytes(1010 * kMiB);
  report.plain_peak = Bytes(2048 * kMiB);
  report.plain_time = milliseconds(200);
  report.predicted_time = milliseconds(225);
  report.lower_bound_time = milliseconds(220);
  report.replay_time = milliseconds(26);
  report.steps = 12;
  report.operators = 800;
  report.verified = 290;
  report.recorded = 10;
  report.replays = 120;
  report.packs = 4;
  report.unpacks = 5;
  report.plans_made = 1;
  report.retries = 1;
  report.retried_because = {"remat::Step: aten::mm asks for more"};
  report.kept = {412, Bytes(601 * kMiB)};
  report.dropped = {96, Bytes(803 * kMiB)};
  report.refused = {{"it may give other bits when it runs again", 3, Bytes(12 * kMiB)}};
  report.pinned = {"aten::clone: its result is changed through a \"pointer\""};
  report.plans = {
      {3, "for steps of a new kind", report.memory, report.predicted_peak, report.tracked_peak, 9}};
  report.tracked_growth = Bytes(744 * kMiB);
  report.resident_growth = Bytes(760 * kMiB);
  return report;
}

TEST(BudgetReport, IsTextForPeople) {
  std::ostringstream text;
  text << a_report();
  EXPECT_EQ(text.str(),
            "budget      1.00 GiB, 256 MiB of it in use as the step began\n"
            "step        12, by plan\n"
            "ran         800 operators; 120 again and 5 unpacked in 26.0 ms; 0 evicted\n"
            "peak        1000 MiB tracked, 1010 MiB predicted; 2.00 GiB in the plain step\n"
            "growth      744 MiB tracked, 760 MiB resident, since the budget was made\n"
            "overhead    +13.00 % measured, +12.50 % predicted; no plan has less than +10.00 %\n"
            "saved       kept 412 with 601 MiB, packed none, dropped 96 with 803 MiB\n"
            "refused     3 with 12.0 MiB: it may give other bits when it runs again\n"
            "pinned      aten::clone: its result is changed through a \"pointer\"\n"
            "retried     remat::Step: aten::mm asks for more\n"
            "plans       after step 3, for steps of a new kind:\n"
            "            1010 MiB predicted, 1000 MiB measured in 9 steps\n");
}

TEST(BudgetReport, SaysLessOfAStepWithoutAPlan) {
  BudgetReport report = a_report();
  report.planned = false;
  report.audited = true;
  report.resident_growth.reset();
  const std::string text = to_string(report);
  EXPECT_THAT(
      text, AllOf(HasSubstr("step        12, without a plan, audited\n"),
                  HasSubstr("peak        1000 MiB tracked\n"),
                  HasSubstr("744 MiB tracked, resident not known, "), Not(HasSubstr("overhead"))));
}

TEST(BudgetReport, IsJson) {
  const std::string json = to_json(a_report());
  EXPECT_EQ(
      json,
      R"({"budget_bytes": 1073741824, "fixed_bytes": 268435456, "tracked_peak_bytes": 1048576000, "planned": true, "audited": false, )"
      R"("steps": 12, "operators": 800, "verified": 290, "recorded": 10, "replays": 120, "packs": 4, "unpacks": 5, "evictions": 0, "retries": 1, "replay_ns": 26000000, )"
      R"("predicted_peak_bytes": 1059061760, "plain_peak_bytes": 2147483648, "plain_ns": 200000000, )"
      R"("predicted_overhead_percent": 12.5, "measured_overhead_percent": 13, "lower_bound_overhead_percent": 10, )"
      R"("tracked_growth_bytes": 780140544, "resident_growth_bytes": 796917760, )"
      R"("kept": {"values": 412, "bytes": 630194176}, "packed": {"values": 0, "bytes": 0}, "dropped": {"values": 96, "bytes": 842006528}, )"
      R"("refused": [{"why": "it may give other bits when it runs again", "values": 3, "bytes": 12582912}], )"
      R"("pinned": ["aten::clone: its result is changed through a \"pointer\""], "retried_because": ["remat::Step: aten::mm asks for more"], )"
      R"("plans_made": 1, "plans": [{"step": 3, "why": "for steps of a new kind", "budget_bytes": 1073741824, )"
      R"("predicted_peak_bytes": 1059061760, "measured_peak_bytes": 1048576000, "followed": 9}]})");
}

// ---- what is counted ----------------------------------------------------------------------------------

class BudgetReportTest : public ::testing::Test {
 protected:
  BudgetReportTest() { use_huge_page_allocator(); }

  /// Saves the results of `depth` sines, and their input; none of them can be packed.
  void step(Budget& budget, int depth = 40) {
    Step step(budget);
    at::Tensor y = x_;
    for (int i = 0; i <= depth; ++i) y = y.sin();
    torch::autograd::grad({y.sum()}, {x_});
  }

  static constexpr std::int64_t kSize = 100'000;
  static constexpr std::int64_t kBytes = 4 * kSize;
  at::Tensor x_ = torch::rand({kSize}, torch::requires_grad());
};

TEST_F(BudgetReportTest, CountsWhatIsKept) {
  Budget budget({Bytes::parse("1GiB"), kEffort});
  for (int i = 0; i < 3; ++i) step(budget);
  const BudgetReport report = budget.report();
  EXPECT_EQ(report.kept.values, 40);
  EXPECT_EQ(report.kept.bytes, Bytes(40 * kBytes));
  EXPECT_EQ(report.dropped.values, 0);
  EXPECT_THAT(report.refused, SizeIs(0));
}

TEST_F(BudgetReportTest, CountsWhatIsDroppedAndTellsHowPlansHeld) {
  const Bytes memory = *live_cpu_bytes() + Bytes(25 * kBytes);
  Budget budget({memory, kEffort});
  for (int i = 0; i < 5; ++i) {
    step(budget);
    const BudgetReport report = budget.report();
    EXPECT_EQ(report.kept.values + report.dropped.values, 40) << report;
    EXPECT_GT(report.dropped.values, 10) << i;
    EXPECT_EQ(report.dropped.bytes, Bytes(report.dropped.values * kBytes)) << i;
    EXPECT_GE(report.replays, report.dropped.values) << i;
    EXPECT_LE(report.tracked_growth, Bytes(25 * kBytes)) << i;
    EXPECT_GT(report.tracked_growth, Bytes(20 * kBytes)) << i;
  }
  const BudgetReport report = budget.report();
  ASSERT_THAT(report.plans, SizeIs(1));
  EXPECT_EQ(report.plans[0].step, 1);
  EXPECT_EQ(report.plans[0].why, "for steps of a new kind");
  EXPECT_EQ(report.plans[0].memory, memory);
  EXPECT_EQ(report.plans[0].predicted_peak, report.predicted_peak);
  EXPECT_EQ(report.plans[0].followed, 4);
  EXPECT_GE(report.plans[0].measured_peak, report.tracked_peak);
  EXPECT_LE(report.plans[0].measured_peak, memory);
  EXPECT_GE(report.predicted_overhead_percent(), report.lower_bound_overhead_percent());
  EXPECT_GT(report.measured_overhead_percent(), 0);
}

TEST_F(BudgetReportTest, CountsEachKindOfStepByItself) {
  Budget budget({*live_cpu_bytes() + Bytes(25 * kBytes), kEffort});
  for (const int depth : {40, 40, 30, 30, 40, 30, 30}) step(budget, depth);
  const BudgetReport report = budget.report();
  ASSERT_THAT(report.plans, SizeIs(2));
  EXPECT_EQ(report.plans[1].step, 4) << "the third step was not expected, and not measured";
  EXPECT_EQ(report.plans[0].followed, 2);
  EXPECT_EQ(report.plans[1].followed, 2);
}

TEST_F(BudgetReportTest, SaysWhatCannotBeMadeAgainAndWhy) {
  Budget budget({Bytes::parse("1GiB"), kEffort});
  const at::Tensor buffer = torch::zeros({kSize});
  {
    Step step(budget);
    const at::Tensor drawn = torch::zeros({2 * kSize}).exp();  // an input, made without one
    const at::Tensor filled = torch::zeros({kSize});           // a factory: kept
    buffer.add_(x_.detach());                                  // memory from outside
    const at::Tensor y =
        (x_ * filled).sum() + (x_ * buffer).sum() + (x_ * drawn.slice(0, 0, kSize)).sum();
    torch::autograd::grad({y}, {x_});
  }
  const BudgetReport report = budget.report();
  ASSERT_THAT(report.refused, SizeIs(2)) << report;
  std::string reasons;
  for (const RefusedValues& refused : report.refused) {
    EXPECT_EQ(refused.values, 1);
    EXPECT_EQ(refused.bytes, Bytes(kBytes));
    reasons += refused.why + "\n";
  }
  EXPECT_THAT(reasons, AllOf(HasSubstr("it has no inputs: what it made is kept"),
                             HasSubstr("memory from outside the step was written into")));
}

TEST_F(BudgetReportTest, KnowsHowFarTheProcessGrew) {
  Budget budget({Bytes::parse("8GiB"), kEffort});
  // With what the step makes of it more than the process ever had.
  x_ = torch::full({process_memory()->peak.count() / 8}, 0.5, torch::requires_grad());
  step(budget, 2);
  const BudgetReport report = budget.report();
  ASSERT_TRUE(report.resident_growth);
  EXPECT_GT(*report.resident_growth, Bytes(2 * x_.nbytes()));
  EXPECT_LT(report.resident_growth->count(),
            1.3 * static_cast<double>(report.tracked_growth.count()));
}

}  // namespace
}  // namespace remat

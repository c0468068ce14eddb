#include "cli/plan_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/op_graphs.h"

namespace remat::cli {
namespace {

using std::chrono::nanoseconds;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

PlannedStep step_of(std::int64_t predicted_ns, std::int64_t bound_ns, bool feasible) {
  PlannedStep step;
  step.planner = "graph";
  step.feasible = feasible;
  step.budget = Bytes(2048);
  step.predicted_peak = Bytes(1024);
  step.plain_peak = Bytes(8192);
  step.min_feasible = Bytes(1024);
  step.kept = Bytes(512);
  step.recomputed = 7;
  step.plain_time = nanoseconds(1000);
  step.predicted_time = nanoseconds(predicted_ns);
  step.lower_bound_time = nanoseconds(bound_ns);
  step.solve_time = nanoseconds(2'500'000);
  step.stopped_by = "effort";
  return step;
}

PlanInput input() { return remat::testing::layers_graph(2, 10); }

TEST(PlanReport, RoundsTheDistanceToTheOptimumUp) {
  EXPECT_THAT(text_report(step_of(1100, 1050, true), input()),  // 4.7619 %
              HasSubstr("\nat most 4.77 % above optimal\n"));
}

TEST(PlanReport, CallsAPlanOptimalThatReachesTheBound) {
  EXPECT_THAT(text_report(step_of(1100, 1100, true), input()),
              AllOf(HasSubstr("\noptimal: no plan within"), Not(HasSubstr("at most"))));
}

TEST(PlanReport, HasARowOfBudgetPeakOverheadBoundKeptReplayedTime) {
  EXPECT_THAT(text_report(step_of(1100, 1050, true), input()),
              HasSubstr("2.00 KiB  1.00 KiB   10.00 %  5.00 %  512 B         7     2.50 ms\n"));
}

TEST(PlanReport, PromisesNothingWhereNothingFits) {
  const auto text = text_report(step_of(1100, 1000, false), input());
  EXPECT_THAT(text, AllOf(ContainsRegex("does not fit +- "), Not(HasSubstr("optimal"))));
}

TEST(PlanReport, SaysWhatWouldFitAndWhatCannot) {
  auto step = step_of(1100, 1000, false);
  step.min_feasible = Bytes(4000);
  EXPECT_THAT(does_not_fit(step, input(), Bytes(3000)),
              AllOf(HasSubstr("fits 2.00 KiB (2048 bytes)"), HasSubstr("found is 3.91 KiB (4000"),
                    HasSubstr("none below 2.93 KiB (3000 bytes) can be"),
                    HasSubstr("--memory 4000 or more")));
}

TEST(PlanReport, DrawsNoCurveOfOnePlan) {
  EXPECT_THAT(text_report(Sweep{{step_of(1100, 1050, true)}, {}}, input()), Not(HasSubstr("+---")));
}

TEST(PlanReport, MakesTextOfOthersPrintable) {
  auto graph = remat::testing::layers_graph(2, 10);
  graph.name = "two\nlines";
  EXPECT_THAT(text_report(step_of(1100, 1050, true), graph), HasSubstr("two\\x0alines"));
}

}  // namespace
}  // namespace remat::cli

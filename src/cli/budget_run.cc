#include "cli/budget_run.h"

#include <limits>

#include <fmt/format.h>

#include <remat/error.h>

#include "base/check.h"
#include "cli/format.h"
#include "cli/numbers.h"

namespace remat::cli {

CLI::Option* add_effort_flag(CLI::App& verb, std::int64_t& effort) {
  return verb
      .add_option(
          "--effort", effort,
          "Operators simulated at most in the search of a plan for a budget; about 2 s of them "
          "unless given")
      ->transform(whole_number(1, std::numeric_limits<std::int64_t>::max()))
      ->type_name("N");
}

BudgetOptions budget_options(const RunOptions& options, Bytes memory, std::int64_t effort) {
  BudgetOptions budget{memory, effort};
  budget.device = options.device;
  return budget;
}

PlainMemory measure_plain(const RunOptions& options) {
  Workload workload(options);
  const auto batch = workload.next_batch();
  workload.warm_up([&] { return workload.plain_step(batch); });
  const auto fixed = workload.live_bytes();
  return {fixed, workload.plain_step(batch).peak};
}

bool is_settled(const BudgetReport& report) { return report.planned && !report.audited; }

std::string why_unsettled(const BudgetReport& report) {
  if (report.evictions > 0) return "memory ran out in the last one: give the budget more";
  return fmt::format(
      "memory did not run out, but {} plans were made and {} operators turned out not to repeat their results. "
      "Steps settle when they run the same operators on the same shapes and end with as much memory in use as "
      "they began with. Run it again; `remat train --memory 1TiB --report FILE` tells of each plan",
      report.plans_made, report.pinned.size());
}

void settle(const Budget& budget, const std::function<void()>& step) {
  for (int steps = 0; !is_settled(budget.report()); ++steps) {
    REMAT_CHECK(steps < kMostUnsettledSteps, Error, "no plan for {} held in {} steps: {}",
                budget.report().memory.to_string(), steps, why_unsettled(budget.report()));
    step();
  }
}

double predicted_overhead_percent(const BudgetReport& report) {
  return report.predicted_overhead_percent();
}

double lower_bound_overhead_percent(const BudgetReport& report) {
  return report.lower_bound_overhead_percent();
}

nlohmann::ordered_json json_of(const BudgetReport& report) {
  return nlohmann::ordered_json::parse(to_json(report));
}

std::string text_of(const BudgetReport& report) {
  const auto plan =
      report.planned
          ? fmt::format("{} predicted; plain step {}, {:.2f} % slower predicted, {:.2f} % at least",
                        report.predicted_peak.to_string(), report.plain_peak.to_string(),
                        predicted_overhead_percent(report), lower_bound_overhead_percent(report))
          : "no plan followed";
  return fmt::format(
      "budget      {}; last step {} tracked, {} of {} operators replayed in {}\n"
      "plan        {}\n",
      report.memory.to_string(), report.tracked_peak.to_string(), report.replays, report.operators,
      format_duration_ns(report.replay_time.count()), plan);
}

}  // namespace remat::cli

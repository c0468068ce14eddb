#include "cli/budget_run.h"

#include <fmt/format.h>

#include <remat/error.h>

#include "base/check.h"
#include "cli/format.h"

namespace remat::cli {
namespace {

double percent_above(std::chrono::nanoseconds time, std::chrono::nanoseconds plain) {
  if (plain.count() == 0) return 0;
  return 100.0 * (static_cast<double>(time.count()) / static_cast<double>(plain.count()) - 1);
}

}  // namespace

void check_budget(const RunOptions& options) {
  REMAT_CHECK(options.device.is_cpu(), InvalidArgument,
              "--memory keeps a step within the CPU's memory, and --device {} computes elsewhere; leave one out",
              options.device.str());
}

PlainMemory measure_plain(const RunOptions& options) {
  Workload workload(options);
  const auto batch = workload.next_batch();
  workload.warm_up([&] { return workload.plain_step(batch); });
  const auto fixed = workload.live_bytes();
  return {fixed, workload.plain_step(batch).peak};
}

double predicted_overhead_percent(const BudgetReport& report) {
  return percent_above(report.predicted_time, report.plain_time);
}

double lower_bound_overhead_percent(const BudgetReport& report) {
  return percent_above(report.lower_bound_time, report.plain_time);
}

nlohmann::ordered_json json_of(const BudgetReport& report) {
  nlohmann::ordered_json json = {{"budget_bytes", report.memory.count()},
                                 {"tracked_peak_bytes", report.tracked_peak.count()},
                                 {"planned", report.planned},
                                 {"operators", report.operators},
                                 {"replays", report.replays},
                                 {"evictions", report.evictions},
                                 {"replay_ns", report.replay_time.count()}};
  if (report.planned) {
    json["predicted_peak_bytes"] = report.predicted_peak.count();
    json["plain_peak_bytes"] = report.plain_peak.count();
    json["predicted_overhead_percent"] = predicted_overhead_percent(report);
    json["lower_bound_overhead_percent"] = lower_bound_overhead_percent(report);
  }
  return json;
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

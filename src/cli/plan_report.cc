#include "cli/plan_report.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/format.h"
#include "report/text_table.h"

namespace remat::cli {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::nanoseconds;

Json json_of(const PlannedStep& step) {
  return {{"planner", step.planner},
          {"budget_bytes", step.budget.count()},
          {"predicted_peak_bytes", step.predicted_peak.count()},
          {"plain_peak_bytes", step.plain_peak.count()},
          {"plain_time_ns", step.plain_time.count()},
          {"predicted_time_ns", step.predicted_time.count()},
          {"lower_bound_time_ns", step.lower_bound_time.count()},
          {"solve_ns", step.solve_time.count()},
          {"stopped_by", step.stopped_by},
          {"feasible", step.feasible},
          {"min_feasible_bytes", step.min_feasible.count()}};
}

// By how many per cent `time` is above `reference`; of a step that takes no time, 0.
double percent_above(nanoseconds time, nanoseconds reference) {
  if (time == reference) return 0;
  return 100.0 * static_cast<double>((time - reference).count()) /
         static_cast<double>(reference.count());
}

std::string format_percent(double percent) { return fmt::format("{:.2f} %", percent); }

std::string quoted_name(const PlanInput& input) {
  return std::visit([](const auto& step) { return quote(step.name); }, input);
}

std::string size_of(const PlanInput& input) {
  const auto* graph = std::get_if<OpGraph>(&input);
  return graph != nullptr ? fmt::format("op graph of {} ops", graph->ops.size())
                          : fmt::format("chain of {} stages", std::get<Chain>(input).stages.size());
}

report::TextTable empty_table() {
  const auto right = report::TextTable::Align::kRight;
  return report::TextTable({{"budget", right},
                            {"peak", right},
                            {"overhead", right},
                            {"bound", right},
                            {"kept", right},
                            {"replayed", right},
                            {"solve time", right}});
}

std::vector<std::string> row_of(const PlannedStep& step) {
  return {step.budget.to_string(),
          step.predicted_peak.to_string(),
          step.feasible ? format_percent(percent_above(step.predicted_time, step.plain_time))
                        : "does not fit",
          format_percent(percent_above(step.lower_bound_time, step.plain_time)),
          step.kept.to_string(),
          std::to_string(step.recomputed),
          format_duration_ns(step.solve_time.count())};
}

// Rounded up: it is a promise.
std::string distance_to_optimum(const PlannedStep& step) {
  if (!step.feasible) return "";
  if (step.predicted_time == step.lower_bound_time) {
    return "optimal: no plan within this budget takes less time\n";
  }
  const auto percent = percent_above(step.predicted_time, step.lower_bound_time);
  return fmt::format("at most {} above optimal\n", format_percent(std::ceil(percent * 100) / 100));
}

}  // namespace

std::string json_report(const PlannedStep& step) { return json_of(step).dump(2) + "\n"; }

std::string text_report(const PlannedStep& step, const PlanInput& input) {
  auto table = empty_table();
  table.add_row(row_of(step));
  return fmt::format(
      "{}: {}; plain step: peak {}, {}\nplanner {}, stopped by {}\n\n{}\n"
      "overhead: of the plain step's time; bound: what no plan within the budget can go below;\n"
      "kept: what forward made and backward finds; replayed: runs beyond each op's first\n{}",
      quoted_name(input), size_of(input), step.plain_peak.to_string(),
      format_duration_ns(step.plain_time.count()), step.planner, step.stopped_by, table.to_string(),
      distance_to_optimum(step));
}

std::string does_not_fit(const PlannedStep& step, const PlanInput& input) {
  return fmt::format(
      "no plan of {} for {} fits {} ({} bytes): the smallest budget for which one was found is {} "
      "({} bytes); give --memory {} or more",
      step.planner, quoted_name(input), step.budget.to_string(), step.budget.count(),
      step.min_feasible.to_string(), step.min_feasible.count(), step.min_feasible.count());
}

}  // namespace remat::cli

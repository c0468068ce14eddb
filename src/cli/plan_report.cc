#include "cli/plan_report.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/format.h"
#include "report/curve.h"
#include "report/text_table.h"

namespace remat::cli {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::nanoseconds;

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

double overhead_of(const PlannedStep& step) {
  return percent_above(step.predicted_time, step.plain_time);
}

std::vector<std::string> row_of(const PlannedStep& step) {
  // Where no plan can fit there is no bound, and the plain time stands in its place.
  const bool bounded = step.feasible || step.lower_bound_time > step.plain_time;
  return {step.budget.to_string(),
          step.predicted_peak.to_string(),
          step.feasible ? format_percent(overhead_of(step)) : "does not fit",
          bounded ? format_percent(percent_above(step.lower_bound_time, step.plain_time)) : "-",
          step.kept.to_string(),
          std::to_string(step.recomputed),
          format_duration_ns(step.solve_time.count())};
}

std::string table_of(const Sweep& sweep) {
  const auto right = report::TextTable::Align::kRight;
  report::TextTable table({{"budget", right},
                           {"peak", right},
                           {"overhead", right},
                           {"bound", right},
                           {"kept", right},
                           {"replayed", right},
                           {"solve time", right},
                           {""}});
  for (std::size_t i = 0; i < sweep.steps.size(); ++i) {
    auto row = row_of(sweep.steps[i]);
    row.emplace_back(sweep.asked == i ? "o" : "");
    table.add_row(row);
  }
  return table.to_string();
}

std::string heading(const PlannedStep& step, const PlanInput& input) {
  return fmt::format("{}: {}; plain step: peak {}, {}\n", quoted_name(input), size_of(input),
                     step.plain_peak.to_string(), format_duration_ns(step.plain_time.count()));
}

constexpr const char* kLegend =
    "overhead: of the plain step's time; bound: no plan within the budget has less;\n"
    "kept: what forward made and backward finds; replayed: runs beyond the first\n";

// Rounded up: it is a promise.
std::string distance_to_optimum(const PlannedStep& step) {
  if (!step.feasible) return "";
  if (step.predicted_time == step.lower_bound_time) {
    return "optimal: no plan within this budget takes less time\n";
  }
  const auto percent = percent_above(step.predicted_time, step.lower_bound_time);
  return fmt::format("at most {} above optimal\n", format_percent(std::ceil(percent * 100) / 100));
}

// Of the budgets for which there is a plan.
std::string curve_of(const Sweep& sweep) {
  std::vector<report::CurvePoint> points;
  double largest = 0;
  for (std::size_t i = 0; i < sweep.steps.size(); ++i) {
    const auto& step = sweep.steps[i];
    if (!step.feasible) continue;
    points.push_back(
        {static_cast<double>(step.budget.count()), overhead_of(step), sweep.asked == i});
    largest = std::max(largest, overhead_of(step));
  }
  if (points.size() < 2) return "";
  const auto size = [](double bytes) { return Bytes(std::llround(bytes)).to_string(); };
  return "\n" + report::curve(points, {"overhead", format_percent(largest), size(points.front().x),
                                       size(points.back().x),
                                       sweep.asked ? "budget (o: --memory)" : "budget"});
}

}  // namespace

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

std::string text_report(const PlannedStep& step, const PlanInput& input) {
  return fmt::format("{}planner {}, stopped by {}\n\n{}\n{}{}", heading(step, input), step.planner,
                     step.stopped_by, table_of({{step}, std::nullopt}), kLegend,
                     distance_to_optimum(step));
}

std::string text_report(const Sweep& sweep, const PlanInput& input) {
  const auto& first = sweep.steps.front();
  return fmt::format("{}planner {}\n\n{}{}\n{}{}", heading(first, input), first.planner,
                     table_of(sweep), curve_of(sweep), kLegend,
                     sweep.asked ? distance_to_optimum(sweep.steps[*sweep.asked]) : "");
}

std::string does_not_fit(const PlannedStep& step, const PlanInput& input, Bytes floor) {
  return fmt::format(
      "no plan of {} for {} fits {} ({} bytes): the smallest budget for which one was found is {} "
      "({} bytes), and none below {} ({} bytes) can be; give --memory {} or more",
      step.planner, quoted_name(input), step.budget.to_string(), step.budget.count(),
      step.min_feasible.to_string(), step.min_feasible.count(), floor.to_string(), floor.count(),
      step.min_feasible.count());
}

}  // namespace remat::cli

#include "planner_quality/contest.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <remat/error.h>
#include <remat/planner.h>
#include <remat/simulator.h>

#include "base/check.h"
#include "report/text_table.h"

namespace remat::benchmarks {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;
using report::TextTable;

double per_cent_above(std::chrono::nanoseconds plain, std::chrono::nanoseconds time) {
  return 100 * static_cast<double>((time - plain).count()) / static_cast<double>(plain.count());
}

std::chrono::nanoseconds plain_time(const OpGraph& graph) {
  std::chrono::nanoseconds sum{0};
  for (const auto& op : graph.ops) sum += op.time;
  return sum;
}

Attempt attempt(const Question& question, double effort_factor) {
  GraphPlanOptions options;
  options.memory = question.budget;
  options.effort =
      std::llround(effort_factor * static_cast<double>(default_effort(*question.graph)));
  const auto result = plan_graph(*question.graph, options);
  const auto simulation = simulate(*question.graph, result.plan);
  REMAT_CHECK(simulation.valid() && (!result.feasible || simulation.peak <= question.budget), Error,
              "planner_quality: the plan for {} in {} bytes is not one", question.graph->name,
              question.budget.count());
  Attempt made;
  made.effort_factor = effort_factor;
  made.solve_time = result.solve_time;
  made.min_feasible = result.min_feasible;
  if (result.feasible) made.overhead = per_cent_above(simulation.plain_time, simulation.time);
  return made;
}

std::string cell(const std::optional<double>& per_cent) {
  return per_cent ? fmt::format("{:.2f}", *per_cent) : "none";
}

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// How far the last attempt may be from the best plan, in percentage points.
std::string gap(const Row& row) {
  if (!row.bound || row.attempts.empty() || !row.attempts.back().overhead) return "";
  return fmt::format("{:.2f}", *row.attempts.back().overhead - *row.bound);
}

std::vector<std::string> cells(const Row& row) {
  std::vector<std::string> result = {
      row.graph, fmt::format("{:.3f}", static_cast<double>(row.budget.count()) / (1 << 30)),
      row.published ? cell(row.published->overhead) : ""};
  for (const auto& made : row.attempts) {
    result.push_back(cell(made.overhead));
    result.push_back(fmt::format("{:.1f}", seconds(made.solve_time)));
  }
  result.push_back(cell(row.bound));
  result.push_back(gap(row));
  return result;
}

json number_or_null(const std::optional<double>& number) { return number ? json(*number) : json(); }

json to_json(const Attempt& made) {
  return {{"effort_factor", made.effort_factor},
          {"overhead_percent", number_or_null(made.overhead)},
          {"solve_ns", made.solve_time.count()},
          {"min_feasible_bytes", made.min_feasible.count()}};
}

json to_json(const Row& row) {
  json result = {{"graph", row.graph},
                 {"budget_bytes", row.budget.count()},
                 {"bound_percent", number_or_null(row.bound)},
                 {"bound_ns", row.bound_time.count()},
                 {"attempts", json::array()}};
  for (const auto& made : row.attempts) result["attempts"].push_back(to_json(made));
  if (row.published) {
    result["checkmate_percent"] = number_or_null(row.published->overhead);
    result["gurobi_bound_percent"] = number_or_null(row.published->bound);
  }
  return result;
}

}  // namespace

Row contest(const Question& question, const std::vector<double>& effort_factors) {
  Row row;
  row.graph = question.graph->name;
  row.budget = question.budget;
  row.published = question.published;
  const auto start = Clock::now();
  const auto bound = lower_bound_time(*question.graph, question.budget);
  row.bound_time = Clock::now() - start;
  if (bound) row.bound = per_cent_above(plain_time(*question.graph), *bound);
  for (const auto factor : effort_factors) row.attempts.push_back(attempt(question, factor));
  return row;
}

std::string to_table(const std::vector<Row>& rows) {
  std::vector<TextTable::Column> columns = {{"graph", TextTable::Align::kLeft},
                                            {"GiB", TextTable::Align::kRight},
                                            {"Checkmate", TextTable::Align::kRight}};
  for (const auto& made : rows.empty() ? std::vector<Attempt>() : rows.front().attempts) {
    columns.push_back({fmt::format("effort x{:g}", made.effort_factor), TextTable::Align::kRight});
    columns.push_back({"s", TextTable::Align::kRight});
  }
  columns.push_back({"bound", TextTable::Align::kRight});
  columns.push_back({"gap", TextTable::Align::kRight});
  TextTable table(columns);
  for (const auto& row : rows) table.add_row(cells(row));
  return table.to_string();
}

std::string to_json(const std::vector<Row>& rows, const std::string& machine) {
  json result = {{"machine", machine}, {"rows", json::array()}};
  for (const auto& row : rows) result["rows"].push_back(to_json(row));
  return result.dump(1) + "\n";
}

}  // namespace remat::benchmarks

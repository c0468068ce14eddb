// The format remat.plan/1.
#include <string>
#include <string_view>
#include <variant>

#include <fmt/format.h>

#include <remat/graph.h>

#include "base/json.h"
#include "base/json_cursor.h"
#include "graph/file_format.h"
#include "graph/ids.h"
#include "graph/json_lines.h"
#include "graph/nested.h"

namespace remat {
namespace {

using graph::read_bytes;
using graph::read_id;
using graph::read_time;

PlanAction read_action(const JsonCursor& action) {
  const auto parts = action.elements();
  if (parts.size() != 2) action.reject(R"(["run", id of an op] or ["drop", id of a value])");
  const auto& verb = parts[0].text();
  if (verb == "run") return RunOp{read_id<OpId>(parts[1])};
  if (verb == "drop") return DropValue{read_id<ValueId>(parts[1])};
  parts[0].reject(R"("run" or "drop")");
}

struct LineOf {
  std::string operator()(RunOp run) const { return fmt::format(R"(["run", {}])", run.op); }
  std::string operator()(DropValue drop) const {
    return fmt::format(R"(["drop", {}])", drop.value);
  }
};

// Keys that writers may add.
std::string additions(const Plan& plan) {
  std::string text;
  if (!plan.planner.empty()) text += fmt::format(", \"planner\": {}", json_string(plan.planner));
  if (plan.effort != 0) text += fmt::format(", \"effort\": {}", plan.effort);
  if (!plan.stopped_by.empty()) {
    text += fmt::format(", \"stopped_by\": {}", json_string(plan.stopped_by));
  }
  return text;
}

}  // namespace

Plan graph::read_nested_plan(const JsonCursor& root) {
  check_format(root, kPlanFormat);
  Plan plan;
  plan.graph = root.at("graph").text();
  plan.budget = read_bytes(root.at("budget_bytes"));
  for (const auto& action : root.at("actions").elements()) {
    plan.actions.push_back(read_action(action));
  }
  plan.predicted_peak = read_bytes(root.at("predicted_peak_bytes"));
  plan.predicted_time = read_time(root.at("predicted_time_ns"));
  plan.plain_time = read_time(root.at("plain_time_ns"));
  plan.lower_bound_time = read_time(root.at("lower_bound_time_ns"));
  if (const auto planner = root.find("planner")) plan.planner = planner->text();
  if (const auto effort = root.find("effort")) plan.effort = effort->whole_number();
  if (const auto stopped_by = root.find("stopped_by")) plan.stopped_by = stopped_by->text();
  return plan;
}

Plan read_plan(const std::string& json, const std::string& source) {
  const JsonDocument document(json, source);
  return graph::read_nested_plan(JsonCursor(document));
}

std::string to_json(const Plan& plan) {
  graph::JsonLines actions;
  for (const auto& action : plan.actions) actions.add(std::visit(LineOf(), action));
  return fmt::format(
      "{{\"format\": \"{}\", \"graph\": {}, \"budget_bytes\": {},\n"
      " \"actions\": {},\n"
      " \"predicted_peak_bytes\": {}, \"predicted_time_ns\": {}, \"plain_time_ns\": {}, "
      "\"lower_bound_time_ns\": {}{}}}\n",
      graph::kPlanFormat, json_string(plan.graph), plan.budget.count(), actions.list(),
      plan.predicted_peak.count(), plan.predicted_time.count(), plan.plain_time.count(),
      plan.lower_bound_time.count(), additions(plan));
}

}  // namespace remat

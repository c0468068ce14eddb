// The format remat.chain_plan/1.
#include <string>
#include <variant>

#include <fmt/format.h>

#include <remat/graph.h>

#include "base/json.h"
#include "base/json_cursor.h"
#include "graph/file_format.h"
#include "graph/json_lines.h"

namespace remat {
namespace {

using graph::read_bytes;
using graph::read_time;

ChainAction read_action(const JsonCursor& action) {
  const auto parts = action.elements();
  if (parts.empty()) action.reject("a verb and the number of a stage");
  const auto& verb = parts[0].text();
  const bool saves = verb == "save";
  if (!saves && verb != "checkpoint" && verb != "pass" && verb != "backward") {
    parts[0].reject(R"("checkpoint", "pass", "save" or "backward")");
  }
  if (parts.size() != (saves ? 3 : 2)) {
    action.reject(saves ? R"(["save", number of a stage, number of an option])"
                        : fmt::format(R"(["{}", number of a stage])", verb));
  }
  const auto stage = parts[1].whole_number();
  if (saves) return SaveStage{stage, parts[2].whole_number()};
  if (verb == "checkpoint") return CheckpointStage{stage};
  if (verb == "pass") return PassStage{stage};
  return BackwardStage{stage};
}

struct LineOf {
  std::string operator()(CheckpointStage action) const {
    return fmt::format("[\"checkpoint\", {}]", action.stage);
  }
  std::string operator()(PassStage action) const {
    return fmt::format("[\"pass\", {}]", action.stage);
  }
  std::string operator()(SaveStage action) const {
    return fmt::format("[\"save\", {}, {}]", action.stage, action.option);
  }
  std::string operator()(BackwardStage action) const {
    return fmt::format("[\"backward\", {}]", action.stage);
  }
};

}  // namespace

ChainPlan read_chain_plan(const std::string& json, const std::string& source) {
  const JsonDocument document(json, source);
  const JsonCursor root(document);
  graph::check_format(root, graph::kChainPlanFormat);
  ChainPlan plan;
  plan.chain = root.at("chain").text();
  plan.budget = read_bytes(root.at("budget_bytes"));
  for (const auto& action : root.at("actions").elements()) {
    plan.actions.push_back(read_action(action));
  }
  plan.predicted_peak = read_bytes(root.at("predicted_peak_bytes"));
  plan.predicted_time = read_time(root.at("predicted_time_ns"));
  if (const auto planner = root.find("planner")) plan.planner = planner->text();
  return plan;
}

std::string to_json(const ChainPlan& plan) {
  graph::JsonLines actions;
  for (const auto& action : plan.actions) actions.add(std::visit(LineOf(), action));
  const auto planner =
      plan.planner.empty() ? "" : fmt::format(", \"planner\": {}", json_string(plan.planner));
  return fmt::format(
      "{{\"format\": \"{}\", \"chain\": {}, \"budget_bytes\": {},\n"
      " \"actions\": {},\n"
      " \"predicted_peak_bytes\": {}, \"predicted_time_ns\": {}{}}}\n",
      graph::kChainPlanFormat, json_string(plan.chain), plan.budget.count(), actions.list(),
      plan.predicted_peak.count(), plan.predicted_time.count(), planner);
}

}  // namespace remat

// What `remat plan` prints.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "cli/plan_input.h"
#include "cli/plan_sweep.h"
#include "cli/step_planner.h"

namespace remat::cli {

/// {"planner": ..., "budget_bytes": ..., ...}: bytes and nanoseconds as integers.
nlohmann::ordered_json json_of(const PlannedStep& step);

/// A line on what was planned, a table, and how far from the optimum the plan is at most.
std::string text_report(const PlannedStep& step, const PlanInput& input);

/// The same for many budgets, with the curve of overhead over budget.
std::string text_report(const Sweep& sweep, const PlanInput& input);

/// One line for stderr: nothing fits, what would, and what to do. `floor`: any plan needs this much.
std::string does_not_fit(const PlannedStep& step, const PlanInput& input, Bytes floor);

}  // namespace remat::cli

// What `remat plan` prints.
#pragma once

#include <string>

#include "cli/plan_input.h"
#include "cli/step_planner.h"

namespace remat::cli {

/// {"planner": ..., "budget_bytes": ..., ...}: bytes and nanoseconds as integers.
std::string json_report(const PlannedStep& step);

/// A line on what was planned, a table, and how far from the optimum the plan is at most.
std::string text_report(const PlannedStep& step, const PlanInput& input);

/// One line for stderr: nothing fits, what would, and what to do.
std::string does_not_fit(const PlannedStep& step, const PlanInput& input);

}  // namespace remat::cli

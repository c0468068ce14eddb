// Runs within a budget: what `train --memory`, `verify --memory` and `profile` share.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include <remat/budget.h>

#include "cli/memory_choice.h"
#include "cli/run_options.h"
#include "cli/workload.h"

namespace remat::cli {

/// Adds --effort; 0 unless it is given.
CLI::Option* add_effort_flag(CLI::App& verb, std::int64_t& effort);

/// A budget of the memory of the run's device.
BudgetOptions budget_options(const RunOptions& options, Bytes memory, std::int64_t effort);

/// Memory of a plain step of such a run, which it makes, measures and lets go of.
/// Errors: as Workload.
PlainMemory measure_plain(const RunOptions& options);

/// Whether the next steps will take what the last one took: its plan has been proven before.
bool is_settled(const BudgetReport& report);

/// Of a budget that has not settled after many steps: the cause, and what to do.
std::string why_unsettled(const BudgetReport& report);

/// Calls `step`, which takes one within `budget`, until the budget is settled.
/// Errors: BudgetError if one does not fit; Error if the budget does not settle.
void settle(const Budget& budget, const std::function<void()>& step);

/// More than the steps that a budget takes to settle: one is recorded, one proves the plan, and twice as many
/// for each of the four times that a plan may be made anew.
inline constexpr int kMostUnsettledSteps = 16;

/// Time above the plain step's, in percent; 0 where no plan was followed.
double predicted_overhead_percent(const BudgetReport& report);
double lower_bound_overhead_percent(const BudgetReport& report);

/// As docs/budget.md has it.
nlohmann::ordered_json json_of(const BudgetReport& report);

/// Lines of a summary.
std::string text_of(const BudgetReport& report);

}  // namespace remat::cli

// Runs within a budget: what `train --memory` and `verify --memory` share.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include <remat/budget.h>

#include "cli/memory_choice.h"
#include "cli/run_options.h"
#include "cli/workload.h"

namespace remat::cli {

/// Errors: InvalidArgument if there can be no budget for such a run.
void check_budget(const RunOptions& options);

/// Memory of a plain step of such a run, which it makes, measures and lets go of.
/// Errors: as Workload.
PlainMemory measure_plain(const RunOptions& options);

/// Time above the plain step's, in percent; 0 where no plan was followed.
double predicted_overhead_percent(const BudgetReport& report);
double lower_bound_overhead_percent(const BudgetReport& report);

/// As docs/budget.md has it.
nlohmann::ordered_json json_of(const BudgetReport& report);

/// Lines of a summary.
std::string text_of(const BudgetReport& report);

}  // namespace remat::cli

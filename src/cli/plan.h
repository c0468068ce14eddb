// `remat plan`: a plan for an op graph or a chain within a budget, or the curve over many budgets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include <remat/bytes.h>

#include "cli/exit_status.h"
#include "cli/planner_choice.h"
#include "cli/step_planner.h"

namespace remat::cli {

struct PlanOptions {
  std::string file;
  std::optional<Bytes> memory;
  PlannerChoice planner;
  SearchLimits limits;
  std::int64_t sweep = 0;  ///< how many budgets; 0: the one
  bool explain = false;
  std::string warm_start;  ///< path of a plan; empty: none
  std::string out;         ///< where the plan goes; empty: nowhere
  bool json = false;
};

/// Adds the verb and its flags to `program`.
CLI::App* add_plan(CLI::App& program, PlanOptions& options);

/// Plans and reports. kNoPlanFits if nothing fits `memory`; then no plan is written.
/// Errors: InvalidArgument for options and files that cannot be, Error if the plan cannot be written.
ExitStatus plan(const PlanOptions& options);

}  // namespace remat::cli

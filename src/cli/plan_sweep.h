// `remat plan --sweep`: plans for many budgets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <remat/bytes.h>

#include "cli/step_planner.h"

namespace remat::cli {

struct Sweep {
  std::vector<PlannedStep> steps;    ///< budgets from small to large, times from long to short
  std::optional<std::size_t> asked;  ///< which of them has the budget `memory`
};

/// Plans for `count` budgets, evenly spaced from the smallest for which a plan is found to the plain
/// step's peak; the nearest to `memory`, if that is given, is `memory` itself. Each search begins with the
/// plan of the budget below. Shows its progress where stderr is a terminal.
Sweep sweep(const StepPlanner& planner, std::int64_t count, std::optional<Bytes> memory);

}  // namespace remat::cli

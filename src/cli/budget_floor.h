// How small a budget may be.
#pragma once

#include <functional>

#include <remat/budget.h>
#include <remat/bytes.h>

namespace remat::cli {

/// The memory of a budget above `refused` in which steps were taken until they followed a proven plan: the
/// least for which a plan is found, or where steps do not fit that, one that is an eighth of the way to the
/// plain step's peak above another that does not do. `step` takes a step within a budget, which is as `refused` was else. No other
/// budget for the device may exist meanwhile.
/// Errors: as `step`; Error if not even the plain step's peak does.
Bytes smallest_working_budget(const BudgetOptions& refused,
                              const std::function<void(Budget&)>& step);

}  // namespace remat::cli

// How small a budget may be.
#pragma once

#include <cstdint>
#include <functional>

#include <remat/budget.h>
#include <remat/bytes.h>

namespace remat::cli {

/// A budget above `refused` in which steps were taken until they followed a proven plan: the least for which a
/// plan is found, or where steps do not fit that, one that is an eighth of the way to the plain step's peak above
/// another that does not do. `step` takes a step within a budget; plans are searched for `effort`. No other
/// budget may exist meanwhile.
/// Errors: as `step`; Error if not even the plain step's peak does.
Bytes smallest_working_budget(Bytes refused, std::int64_t effort,
                              const std::function<void(Budget&)>& step);

}  // namespace remat::cli

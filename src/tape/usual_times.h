// How long the pieces of a measured step take as a rule.
#pragma once

#include <cstdint>
#include <vector>

#include "tape/records.h"

namespace remat::tape {

/// `nanoseconds`, but where one is more than four times the median of its kind, that median, if there are at least
/// eight of the kind: it was not the operator that took so long, but what else the machine did then.
/// `kinds` has a number for each time, the same for those that take equally long as a rule.
std::vector<std::int64_t> usual_times(const std::vector<std::uint64_t>& kinds,
                                      std::vector<std::int64_t> nanoseconds);

/// Those of a step's moments. Of a kind are operators with the same arguments but for their content, and nodes of
/// one name that ask for as many bytes.
std::vector<std::int64_t> usual_times(const StepRecord& record);

}  // namespace remat::tape

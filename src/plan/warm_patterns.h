// A plan as decisions of the search.
#pragma once

#include <cstddef>
#include <vector>

#include "plan/retention_space.h"
#include "plan/retention_state.h"

namespace remat::plan {

/// Patterns that replay, as far as patterns can say it, what these runs (places of ops, in order) replay.
std::vector<KeepPattern> patterns_of(const RetentionSpace& space,
                                     const std::vector<std::size_t>& runs);

}  // namespace remat::plan

// Plans, and parts of them, as decisions of the search.
#pragma once

#include <cstddef>
#include <vector>

#include "plan/places.h"
#include "plan/retention_space.h"
#include "plan/retention_state.h"

namespace remat::plan {

/// Patterns that replay, as far as patterns can say it, what these runs (places of ops, in order) replay.
Patterns patterns_of(const RetentionSpace& space, const std::vector<std::size_t>& runs);

/// Patterns that drop, while the op of `moment` runs first, what `ops` write, and make it again once.
Patterns patterns_replaying(const RetentionSpace& space, Slot moment,
                            const std::vector<OpPlace>& ops);

}  // namespace remat::plan

// Plans, and parts of them, as decisions of the search.
#pragma once

#include <cstddef>
#include <vector>

#include "plan/retention_space.h"
#include "plan/retention_state.h"

namespace remat::plan {

/// Patterns that replay, as far as patterns can say it, what these runs (places of ops, in order) replay.
std::vector<KeepPattern> patterns_of(const RetentionSpace& space,
                                     const std::vector<std::size_t>& runs);

/// Patterns that drop, while the op at `moment` runs first, what `ops` write, and make it again once.
std::vector<KeepPattern> patterns_replaying(const RetentionSpace& space, Place moment,
                                            const std::vector<Place>& ops);

}  // namespace remat::plan

// Which value to let go of when memory runs out and no plan says.
#pragma once

#include <cstdint>
#include <vector>

#include "tape/records.h"

namespace remat::tape {

/// Whether the tape alone keeps `value` in memory, and it can be made again.
bool is_evictable(const Value& value);

/// Evictable values, the one of least cost for what it frees first: the time of its replay, of the longest row
/// of operators that have to run before it, and of the longest whose results are gone and that would have to
/// wait for it, over bytes times the moments since it was used last.
///
/// Source: DTR (Kirisame et al. 2021, arXiv:2006.09616, section 4.1), the heuristic h with the evicted
///         neighbourhood; rows stand for the neighbourhood, whose size they bound from below.
class EvictionOrder {
 public:
  /// The next one; kNone if there is none.
  /// Cost: linear in the values of the step, but only every few moments: in between, what the last look
  ///       found is good enough.
  ValueIndex next(const StepRecord& record, std::int32_t now);

 private:
  void look(const StepRecord& record, std::int32_t now);

  std::vector<ValueIndex> order_;  // the best last
  std::int32_t looked_at_ = -1;
  std::int32_t given_ = 0;  // since then
};

}  // namespace remat::tape

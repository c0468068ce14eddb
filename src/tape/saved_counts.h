// What became of the values that a step saved for its backward pass.
#pragma once

#include <vector>

#include <remat/budget.h>

#include "tape/records.h"

namespace remat::tape {

/// Each value that was saved is in one of these, unless it was there before the step.
struct SavedCounts {
  ValueCount kept;     ///< from when it was made until it was asked for
  ValueCount packed;   ///< kept, at times in fewer bytes; counted are those of the value
  ValueCount dropped;  ///< let go of in between
  std::vector<RefusedValues> refused;
};

/// Cost: linear in the values of the step.
SavedCounts count_saved(const StepRecord& record);

}  // namespace remat::tape

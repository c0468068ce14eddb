// What the operating system sees of a training: resident memory, measured in a process of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <remat/bytes.h>

#include "cli/policy.h"
#include "cli/run_options.h"

namespace remat::cli {

/// Growth of this process from before the model is made to the peak of two training steps under
/// `policy`; within a budget, of all steps until one follows a proven plan. A step of a tiny model goes first,
/// so that LibTorch and its code are not counted. Budgets are sizes, and search their plans for `effort`.
/// Call it once in a process, before any other model: an allocator keeps pages.
/// Errors: as Workload; Error if /proc/self/status does not tell; InvalidArgument for a share.
Bytes resident_growth(const RunOptions& options, const Policy& policy, std::int64_t effort = 0);

/// resident_growth in a child: `command`, a program and its arguments, with `--resident-of POLICY` appended.
/// Errors: Error if the child cannot be run or fails; it has then written why to stderr.
Bytes resident_growth_in_child(std::vector<std::string> command, const Policy& policy);

}  // namespace remat::cli

// What the operating system sees of a training: resident memory, measured in a process of its own.
#pragma once

#include <string>
#include <vector>

#include <remat/bytes.h>
#include <remat/placement.h>

#include "cli/run_options.h"

namespace remat::cli {

/// Growth of this process from before the model is made to the peak of two training steps under
/// `policy`. A step of a tiny model goes first, so that LibTorch and its code are not counted.
/// Call it once in a process, before any other model: an allocator keeps pages.
/// Errors: as Workload; Error if /proc/self/status does not tell.
Bytes resident_growth(const RunOptions& options, const Placement& policy);

/// resident_growth in a child: `command`, a program and its arguments, with `--resident-of POLICY` appended.
/// Errors: Error if the child cannot be run or fails; it has then written why to stderr.
Bytes resident_growth_in_child(std::vector<std::string> command, const Placement& policy);

}  // namespace remat::cli

// The program `remat`: reads the command line, runs the verb, reports errors.
#pragma once

#include "cli/exit_status.h"

namespace remat::cli {

/// Runs the program. Results go to stdout, progress and errors to stderr; nothing is thrown.
/// `executable`: where this program is, to measure resident memory in processes of its own; nullptr: it
/// is not measured.
ExitStatus run_program(int argc, const char* const* argv, const char* executable = nullptr);

}  // namespace remat::cli

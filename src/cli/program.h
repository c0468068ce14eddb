// The program `remat`: reads the command line, runs the verb, reports errors.
#pragma once

#include "cli/exit_status.h"

namespace remat::cli {

/// Runs the program. Results go to stdout, progress and errors to stderr; nothing is thrown.
ExitStatus run_program(int argc, const char* const* argv);

}  // namespace remat::cli

// Runs the program `remat` as its users do: another process, its output and exit status.
#pragma once

#include <string>
#include <vector>

#include "tests/testing/memory_group.h"

namespace remat::testing {

struct ProgramRun {
  int status = -1;  // exit status, 128 + the signal that ended it
  std::string out;
  std::string err;
};

using Arguments = std::vector<std::string>;

ProgramRun run_remat(const Arguments& arguments);

/// As the one process of a group.
ProgramRun run_remat_in(const MemoryGroup& group, const Arguments& arguments);

/// stderr is a terminal of this many columns.
ProgramRun run_remat_on_terminal(const Arguments& arguments, unsigned short columns);

/// Presses Ctrl-C once the first line of progress has been seen.
ProgramRun run_remat_and_interrupt(const Arguments& arguments);

/// SIGKILL, `delay_ms` after the first line of progress.
ProgramRun run_remat_and_kill(const Arguments& arguments, int delay_ms);

/// The lines of `text`, without their ends.
std::vector<std::string> lines_of(const std::string& text);

}  // namespace remat::testing

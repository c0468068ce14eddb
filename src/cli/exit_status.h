// What the program's exit status says.
#pragma once

namespace remat::cli {

enum ExitStatus : int {
  kDone = 0,
  kFailed = 1,      ///< it could not be done, or what was verified does not hold
  kUsage = 2,       ///< the command line asks for something that cannot be
  kNoPlanFits = 3,  ///< no plan, step, batch or sequence fits the memory
  kInterrupted =
      130  ///< stopped by Ctrl-C after the step it was in: 128 + SIGINT, as shells have it
};

}  // namespace remat::cli

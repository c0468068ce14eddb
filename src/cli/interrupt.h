// Ctrl-C as a request rather than an end.
#pragma once

#include <csignal>

namespace remat::cli {

/// While it lives, the first Ctrl-C (SIGINT) is only noted; a second one ends the program as usual.
///
/// Threads: one at a time in the process.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// True once Ctrl-C has been pressed since the guard was made.
  static bool requested();

 private:
  struct sigaction previous_ {};
};

}  // namespace remat::cli

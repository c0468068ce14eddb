// Runs the program `remat` in this process: loading LibTorch takes half a second, and there are many bad
// command lines.
#pragma once

#include <vector>

#include <gtest/gtest.h>

#include "cli/program.h"
#include "tests/cli/run_remat.h"

namespace remat::testing {

inline ProgramRun run_here(Arguments arguments) {
  arguments.insert(arguments.begin(), "remat");
  std::vector<const char*> argv;
  for (const auto& argument : arguments) argv.push_back(argument.c_str());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  ProgramRun run;
  run.status = cli::run_program(static_cast<int>(argv.size()), argv.data());
  run.out = ::testing::internal::GetCapturedStdout();
  run.err = ::testing::internal::GetCapturedStderr();
  return run;
}

}  // namespace remat::testing

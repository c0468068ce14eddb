// `remat profile`: where the time and the memory of a training step go, and the step as an op graph.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <remat/graph.h>

#include "cli/exit_status.h"
#include "cli/run_options.h"

namespace remat::cli {

struct ProfileOptions {
  RunOptions run;
  std::string out;  ///< where the graph goes; empty: nowhere
};

/// What was measured.
struct ProfiledStep {
  OpGraph graph;       ///< times are medians over the recorded steps
  Bytes tracked_peak;  ///< of the last of them; nothing is dropped in it
  std::vector<std::int64_t> plain_ns;
  std::vector<std::int64_t> recorded_ns;  ///< steps that become graphs
  std::vector<std::int64_t>
      followed_ns;  ///< steps that follow a plan, which says to keep everything
};

/// Adds the verb and its flags to `program`.
CLI::App* add_profile(CLI::App& program, ProfileOptions& options);

/// Runs plain steps, and steps on the tape beside them; reports on stdout.
/// Errors: InvalidArgument for options that cannot be; Error if the graph cannot be written; as Workload.
ExitStatus profile(const ProfileOptions& options);

}  // namespace remat::cli

// `remat train`: trains a language model on a text.
#pragma once

#include <remat/placement.h>

#include "cli/exit_status.h"
#include "cli/run_options.h"

namespace remat::cli {

struct TrainOptions {
  RunOptions run;
  Placement policy = Placement::none();
};

/// Adds the verb and its flags to `program`.
CLI::App* add_train(CLI::App& program, TrainOptions& options);

/// Trains, with progress on stderr and the summary on stdout.
/// Errors: InvalidArgument for options that cannot be; Error if the loss leaves the finite numbers.
ExitStatus train(const TrainOptions& options);

}  // namespace remat::cli

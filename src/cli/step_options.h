// The flags that decide how a training goes from its losses to its parameters.
#pragma once

#include <cstdint>
#include <optional>

#include <CLI/CLI.hpp>

#include "cli/learning_rate.h"

namespace remat::cli {

struct StepOptions {
  std::int64_t accumulate = 1;  ///< micro-batches of a step
  double clip = 0;              ///< largest norm of all gradients together; 0: any
  double weight_decay = 0.01;   ///< of matrices
  std::int64_t warmup = 0;
  std::optional<double> min_lr;  ///< none: the rate does not decay
  std::int64_t decay_steps = 0;  ///< 0: all of --steps
  double val_fraction = 0;       ///< of the text
};

/// Adds the flags of `options` to `verb`; the present values are the defaults and are shown by --help.
void add_step_flags(CLI::App& verb, StepOptions& options);

/// The schedule of a training of `steps` steps whose flag --lr is `lr`.
/// Errors: InvalidArgument that names the flag if the rate would fall below --min-lr from the start, or
///         the warm-up is longer than the decay.
LearningRate learning_rate(const StepOptions& options, double lr, std::int64_t steps);

}  // namespace remat::cli

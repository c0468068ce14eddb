// `remat train`: trains a language model on a text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <remat/placement.h>

#include "cli/exit_status.h"
#include "cli/find_largest.h"
#include "cli/memory_choice.h"
#include "cli/run_options.h"

namespace remat::cli {

struct TrainOptions {
  RunOptions run;
  Placement policy = Placement::none();
  std::string save;       ///< where the state goes, nowhere if empty
  std::string resume;     ///< where the state comes from
  std::string init;       ///< where the parameters come from, in safetensors
  std::string export_to;  ///< where the parameters go at the end
  FindOptions find;
  std::optional<MemoryChoice> memory;  ///< a budget for each step, or what is to fit
  std::string report;                  ///< where that goes which the budget tells at the end
  std::int64_t effort = 0;             ///< of the search of plans for it; 0: the default
  std::int64_t save_every = 0;         ///< steps; 0: at the end only
  std::int64_t val_every = 0;          ///< steps; 0: at the end only
  std::optional<std::int64_t> sample;  ///< tokens at the end; unless given, some for people to read
};

/// Adds the verb and its flags to `program`.
CLI::App* add_train(CLI::App& program, TrainOptions& options);

/// Trains, with progress on stderr and the summary on stdout.
/// Errors: InvalidArgument for options that cannot be; BudgetError if a step does not fit --memory; Error if
///         the loss leaves the finite numbers, and as
///         load_training_state and save_training_state.
ExitStatus train(const TrainOptions& options);

}  // namespace remat::cli

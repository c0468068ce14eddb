// All that a training needs to go on as if it had never stopped: docs/design/training_state.md.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/run_options.h"
#include "cli/workload.h"

namespace remat::cli {

/// The name that a parameter of the model has in a state file.
std::string parameter_name(const std::string& name);

/// What makes a model, by the flags that say it.
nlohmann::json options_of(const models::DecoderConfig& model);

/// The model that options_of(), or the `options` of a state file, describe.
/// Errors: nlohmann::json::exception if they do not; what the model cannot be, make_decoder says.
models::DecoderConfig model_of(const nlohmann::json& options);

/// Replaces `path` by the state after `step` steps, as a whole or not at all.
/// Errors: as write_state_file.
void save_training_state(const std::string& path, Workload& workload, const RunOptions& options,
                         std::int64_t step);

/// Puts the state into `workload`, made from `options`, and returns the steps done. What follows is, bit
/// for bit, what would have followed without the interruption.
/// Errors: as read_state_file; InvalidArgument that names the flag if the state was made with another
///         text, or with other options of those that decide what a step computes. Then `workload` is as
///         it was.
std::int64_t load_training_state(const std::string& path, Workload& workload,
                                 const RunOptions& options);

}  // namespace remat::cli

// Models that were saved: in training states and in safetensors files.
#pragma once

#include <memory>
#include <string>

#include "models/decoder.h"

namespace remat::cli {

/// The decoder whose parameters lie in the file at `path`, which `remat train` wrote for --save or
/// --export, on the CPU.
///
/// `flag` stands before the path in messages, as in "--load".
/// Errors: as read_state_file and read_safetensors; Error if the file does not hold the parameters of its
///         model, or does not say which model that is.
std::shared_ptr<models::Decoder> load_model(const std::string& flag, const std::string& path);

/// Puts the parameters of the safetensors file at `path` into `model`.
/// Errors: as read_safetensors; InvalidArgument that names the parameter and both shapes if the file's
///         names, shapes or types are not those of the model. Then the model is as it was.
void import_parameters(const std::string& flag, const std::string& path, models::Decoder& model);

/// Replaces the file at `path` by the parameters of `model`, with what makes such a model in its metadata.
/// Errors: as write_safetensors.
void export_parameters(const std::string& flag, const std::string& path, models::Decoder& model);

}  // namespace remat::cli

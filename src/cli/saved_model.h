// The model of a training that was saved.
#pragma once

#include <memory>
#include <string>

#include "models/decoder.h"

namespace remat::cli {

/// The decoder whose parameters lie in the file at `path`, which `remat train --save` wrote, on the CPU.
///
/// `flag` stands before the path in messages, as in "--load".
/// Errors: as read_state_file; Error if the file does not hold all parameters of its model.
std::shared_ptr<models::Decoder> load_model(const std::string& flag, const std::string& path);

}  // namespace remat::cli

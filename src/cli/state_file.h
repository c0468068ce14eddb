// The file that holds a training's state: JSON and tensors, versioned and checksummed.
// Its layout: docs/design/training_state.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <ATen/core/Tensor.h>

namespace remat::cli {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

struct StateFile {
  nlohmann::json state;
  std::vector<NamedTensor> tensors;

  /// The tensor of that name; nullptr if there is none.
  const at::Tensor* find(const std::string& name) const;
};

/// Replaces the file at `path` as a whole or not at all. `tensors` are on any device, float or uint8.
/// Errors: Error that names --save, the path, the reason and what to do.
/// Cost: no copy of contiguous CPU tensors.
void write_state_file(const std::string& path, const nlohmann::json& state,
                      const std::vector<NamedTensor>& tensors);

/// Errors: InvalidArgument if it cannot be read; Error if it is not such a file, or of another version,
///         truncated or damaged. Both name `flag`, the path and what to do.
StateFile read_state_file(const std::string& path, const std::string& flag = "--resume");

/// What is at `path` is kept if it is no such file: somebody's text, say.
/// Errors: InvalidArgument, or Error if nothing can be written there.
void check_save_path(const std::string& path);

}  // namespace remat::cli

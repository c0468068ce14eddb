// Errors that remat throws. Needs no LibTorch.
#pragma once

#include <stdexcept>
#include <string>

namespace remat {

/// Base of every error that remat throws. The message names the operation, what was expected, what
/// was found and what to do next.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
};

/// An argument that remat cannot work with: a malformed size or policy, more segments than layers.
/// Nothing was changed by the call that threw it.
class InvalidArgument : public Error {
 public:
  explicit InvalidArgument(const std::string& message) : Error(message) {}
};

/// A checkpointed region whose recomputation did not do what its forward did, or could not be run:
/// other tensors were saved, or something it reads was changed in place in between. Thrown by the
/// backward pass (or whatever else unpacks a saved tensor) before a wrong gradient can be formed.
class CheckpointError : public Error {
 public:
  explicit CheckpointError(const std::string& message) : Error(message) {}
};

/// A training step that does not fit its budget. The message names the operator that asked for memory, how
/// much it asked for, and a budget that is known to work, or at least what this step would have needed.
class BudgetError : public Error {
 public:
  explicit BudgetError(const std::string& message) : Error(message) {}
};

}  // namespace remat

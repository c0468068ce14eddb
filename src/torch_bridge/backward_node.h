// What the node of a backward pass is called that this thread runs.
// Tried on LibTorch 1.13.1 and 2.11.0+cu130.
#pragma once

#include <optional>
#include <string>

#include <ATen/record_function.h>

namespace remat::torch_bridge {

/// While it lives, backward_node_name() answers on this thread. Scopes may be nested.
class BackwardNodeScope {
 public:
  BackwardNodeScope();
  ~BackwardNodeScope();
  BackwardNodeScope(const BackwardNodeScope&) = delete;
  BackwardNodeScope& operator=(const BackwardNodeScope&) = delete;

 private:
  std::optional<at::CallbackHandle> handle_;  // of the outermost scope
};

/// "AddmmBackward0"; empty outside of nodes, and for those that began before the scope.
std::string backward_node_name();

}  // namespace remat::torch_bridge

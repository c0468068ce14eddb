#include "torch_bridge/graph_task.h"

#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/graph_task.h>

namespace remat::torch_bridge {

// LibTorch 1.13 has no id for a graph task. The address of a member of the running task serves on all
// versions: it is unique while the task lives, and the task owns its final callbacks.
GraphTaskId current_graph_task() { return torch::autograd::get_current_graph_task_exec_info(); }

void keep_until_graph_task_ends(std::shared_ptr<void> resource) {
  torch::autograd::Engine::get_default_engine().queue_callback(
      [resource = std::move(resource)]() mutable { resource.reset(); });
}

}  // namespace remat::torch_bridge

#include "torch_bridge/graph_task.h"

#include <utility>

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/graph_task.h>

#include "torch_bridge/op_interceptor.h"

namespace remat::torch_bridge {
namespace {

// The kinds are a fixed list, of which LibTorch and its profilers leave this one alone.
constexpr auto kGroupKind = c10::DebugInfoKind::TEST_INFO_2;

PassGroup* current_group() {
  // Only remat's own: somebody else may use the kind after all.
  return dynamic_cast<PassGroup*>(c10::ThreadLocalDebugInfo::get(kGroupKind));
}

}  // namespace

void PassGroup::keep(std::shared_ptr<void> resource) {
  std::lock_guard<std::mutex> lock(mutex_);
  resources_.push_back(std::move(resource));
}

void PassGroup::release() {
  std::vector<std::shared_ptr<void>> released;  // destroyed without the lock: they lock frames
  std::lock_guard<std::mutex> lock(mutex_);
  released.swap(resources_);
}

PassGroupScope::PassGroupScope(std::shared_ptr<PassGroup> group)
    : guard_(kGroupKind, std::move(group)) {}

// LibTorch 1.13 has no id for a graph task. The address of a member of the running task serves on all
// versions: it is unique while the task lives, and the task owns its final callbacks.
PassId current_pass() {
  const PassGroup* group = current_group();
  return group != nullptr ? group : PassId(torch::autograd::get_current_graph_task_exec_info());
}

void keep_until_pass_ends(std::shared_ptr<void> resource) {
  if (PassGroup* group = current_group()) {
    group->keep(std::move(resource));
    return;
  }
  torch::autograd::Engine::get_default_engine().queue_callback(
      [resource = std::move(resource)]() mutable { resource.reset(); });
}

bool in_backward_pass() { return torch::autograd::get_current_graph_task_exec_info() != nullptr; }

void drop_queued_gradients() noexcept {
  if (in_backward_pass()) return;
  try {
    const InterceptorPause pause;
    const c10::AutoGradMode grad_mode(true);
    const at::Tensor leaf = at::zeros({1}).set_requires_grad(true);
    leaf.mul(1).backward();
  } catch (...) {  // they go with the next pass
  }
}

bool nodes_may_ask_again() {
  return current_group() != nullptr || !torch::autograd::get_current_graph_task_keep_graph();
}

}  // namespace remat::torch_bridge

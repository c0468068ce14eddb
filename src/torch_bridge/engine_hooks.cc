#include "torch_bridge/engine_hooks.h"

#include <atomic>
#include <mutex>

#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/input_buffer.h>
#include <torch/csrc/autograd/saved_variable.h>

namespace remat::torch_bridge {
namespace {

namespace autograd = torch::autograd;

thread_local HookProvider* current_provider = nullptr;
thread_local PassWatcher* current_watcher = nullptr;

/// Answers for saved-tensor hooks and forwards execution to the engine that was there before.
class ForwardingEngine final : public autograd::Engine {
 public:
  ForwardingEngine(autograd::Engine& previous, ForwardingEngine* replaced)
      : previous_(previous), replaced_(replaced) {}

  autograd::variable_list execute(const autograd::edge_list& roots,
                                  const autograd::variable_list& inputs, bool keep_graph,
                                  bool create_graph, bool accumulate_grad,
                                  const autograd::edge_list& outputs) override {
    if (current_watcher != nullptr) current_watcher->pass_begins(roots, accumulate_grad);
    return previous_.execute(roots, inputs, keep_graph, create_graph, accumulate_grad, outputs);
  }

  c10::intrusive_ptr<at::ivalue::Future> execute_with_graph_task(
      const std::shared_ptr<autograd::GraphTask>& graph_task,
      std::shared_ptr<autograd::Node> graph_root, autograd::InputBuffer&& input_buffer) override {
    return previous_.execute_with_graph_task(graph_task, std::move(graph_root),
                                             std::move(input_buffer));
  }

  std::unique_ptr<autograd::AnomalyMetadata> make_anomaly_metadata() override {
    return previous_.make_anomaly_metadata();
  }

  std::unique_ptr<autograd::SavedVariableHooks> get_default_saved_variable_hooks() override {
    return current_provider != nullptr ? current_provider->make_hooks() : previous_hooks();
  }

  std::unique_ptr<autograd::SavedVariableHooks> previous_hooks() {
    return previous_.get_default_saved_variable_hooks();
  }

 private:
  autograd::Engine& previous_;
  // An earlier one, which the engine that took its place may forward to. Held so that leak checkers see
  // whose it is.
  [[maybe_unused]] ForwardingEngine* const replaced_;
};

// Never destroyed: threads may still run backward while the process exits.
std::atomic<ForwardingEngine*> installed_engine{nullptr};

autograd::Engine& engine_stub() { return *installed_engine.load(std::memory_order_acquire); }

/// Makes remat's engine the default one, again if somebody (`import torch`) replaced it since.
void install_engine() {
  const auto is_installed = [] {
    return &autograd::Engine::get_default_engine() ==
           installed_engine.load(std::memory_order_acquire);
  };
  if (is_installed()) {
    return;
  }
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  if (is_installed()) {
    return;
  }
  installed_engine.store(new ForwardingEngine(autograd::Engine::get_default_engine(),
                                              installed_engine.load(std::memory_order_acquire)),
                         std::memory_order_release);
  autograd::set_default_engine_stub(&engine_stub);
}

}  // namespace

HookScope::HookScope(HookProvider& provider) : outer_(current_provider) {
  install_engine();
  current_provider = &provider;
}

HookScope::~HookScope() { current_provider = outer_; }

PassWatchScope::PassWatchScope(PassWatcher& watcher) : outer_(current_watcher) {
  install_engine();
  current_watcher = &watcher;
}

PassWatchScope::~PassWatchScope() { current_watcher = outer_; }

bool hooks_are_active() {
  if (current_provider != nullptr) {
    return true;
  }
  return autograd::Engine::get_default_engine().get_default_saved_variable_hooks() != nullptr;
}

}  // namespace remat::torch_bridge

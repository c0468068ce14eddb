// Saved-tensor hooks from C++: LibTorch asks its default autograd engine for the hooks of every tensor
// it saves, so remat installs an engine that answers, and forwards everything else.
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130.
#pragma once

#include <memory>

#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/saved_variable_hooks.h>

namespace remat::torch_bridge {

/// Gives the hooks of a tensor that autograd is about to save on this thread.
class HookProvider {
 public:
  virtual ~HookProvider() = default;

  /// The hooks of the next saved tensor; nullptr saves it without hooks.
  virtual std::unique_ptr<torch::autograd::SavedVariableHooks> make_hooks() = 0;
};

/// While it lives, `provider` serves this thread; the innermost scope wins. Installs remat's engine if
/// another one (LibTorch's own, or Python's) is the default. Scopes end in reverse order.
class HookScope {
 public:
  explicit HookScope(HookProvider& provider);
  ~HookScope();
  HookScope(const HookScope&) = delete;
  HookScope& operator=(const HookScope&) = delete;

 private:
  HookProvider* outer_;
};

/// Told of backward passes.
class PassWatcher {
 public:
  virtual ~PassWatcher() = default;

  /// A pass is about to start on this thread. `accumulates`: into the gradients of leaves; otherwise they
  /// are returned.
  virtual void pass_begins(const torch::autograd::edge_list& roots, bool accumulates) = 0;
};

/// While it lives, `watcher` is told of the passes that this thread starts; of nested scopes only the
/// innermost. Scopes end in reverse order.
class PassWatchScope {
 public:
  explicit PassWatchScope(PassWatcher& watcher);
  ~PassWatchScope();
  PassWatchScope(const PassWatchScope&) = delete;
  PassWatchScope& operator=(const PassWatchScope&) = delete;

 private:
  PassWatcher* outer_;
};

/// Whether a tensor saved on this thread now would go through hooks, remat's or the previous engine's.
bool hooks_are_active();

}  // namespace remat::torch_bridge

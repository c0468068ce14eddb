#include "torch_bridge/backward_node.h"

#include <memory>

namespace remat::torch_bridge {
namespace {

thread_local const char* current_name = nullptr;
thread_local int scopes = 0;

/// The node around: a pass may run inside of a node.
struct Outer final : at::ObserverContext {
  explicit Outer(const char* outer) : name(outer) {}
  const char* name;
};

// The record of a node lives as long as the node runs, and its name with it.
std::unique_ptr<at::ObserverContext> node_begins(const at::RecordFunction& node) {
  auto outer = std::make_unique<Outer>(current_name);
  current_name = node.name();
  return outer;
}

void node_ends(const at::RecordFunction& /*node*/, at::ObserverContext* outer) {
  current_name = static_cast<Outer*>(outer)->name;
}

}  // namespace

BackwardNodeScope::BackwardNodeScope() {
  if (scopes++ > 0) return;
  handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(node_begins, node_ends)
                                           .scopes({at::RecordScope::BACKWARD_FUNCTION}));
}

BackwardNodeScope::~BackwardNodeScope() {
  --scopes;
  if (handle_) at::removeCallback(*handle_);
}

std::string backward_node_name() { return current_name == nullptr ? "" : current_name; }

}  // namespace remat::torch_bridge

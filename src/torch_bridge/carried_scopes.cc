#include "torch_bridge/carried_scopes.h"

#include <utility>

namespace remat::torch_bridge {
namespace {

// As kGroupKind in graph_task.cc: of LibTorch's fixed list, one that it leaves alone.
constexpr auto kCarriedKind = c10::DebugInfoKind::TEST_INFO;

}  // namespace

CarriedScopes* CarriedScopes::of_this_thread() {
  // Only remat's own: somebody else may use the kind after all.
  return dynamic_cast<CarriedScopes*>(c10::ThreadLocalDebugInfo::get(kCarriedKind));
}

CarryScope::CarryScope(std::shared_ptr<CarriedScopes> scopes)
    : guard_(kCarriedKind, std::move(scopes)) {}

}  // namespace remat::torch_bridge

#include "torch_bridge/op_interceptor.h"

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include <torch/library.h>

#include <remat/error.h>

#include "torch_bridge/carried_scopes.h"

namespace remat::torch_bridge {
namespace {

constexpr int kLevels = 2;

// The innermost interceptor of each level; each knows the one outside it.
thread_local OpInterceptor* innermost[kLevels] = {nullptr, nullptr};

constexpr int index_of(OpLevel level) { return static_cast<int>(level); }

/// That of this thread, or of the one that it works for.
OpInterceptor* first_to_ask(OpLevel level) {
  OpInterceptor* const own = innermost[index_of(level)];
  if (own != nullptr || level == OpLevel::kAboveAutograd) return own;
  CarriedScopes* const carried = CarriedScopes::of_this_thread();
  return carried != nullptr ? &carried->interceptor : nullptr;
}

/// The keys that can serve a level, best first. LibTorch registers no kernel for any of them; other
/// libraries may (torchdistx has DeferredInit and Fake), and only one fallback is allowed for each.
constexpr c10::DispatchKey kCandidates[kLevels][2] = {
    {c10::DispatchKey::DeferredInit, c10::DispatchKey::TESTING_ONLY_GenericMode},
    {c10::DispatchKey::Fake, c10::DispatchKey::Undefined},
};

// The key that serves each level, once registered.
std::atomic<c10::DispatchKey> chosen[kLevels] = {c10::DispatchKey::Undefined,
                                                 c10::DispatchKey::Undefined};

c10::DispatchKey key_of(OpLevel level) {
  return chosen[index_of(level)].load(std::memory_order_relaxed);
}

}  // namespace

void dispatch_to_interceptors(OpLevel level, const c10::OperatorHandle& op,
                              c10::DispatchKeySet keys, torch::jit::Stack& stack) {
  const auto after = c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, key_of(level));
  OpCall(level, op, keys & after, stack, first_to_ask(level)).proceed();
}

void OpCall::proceed() {
  if (next_ == nullptr) {
    // An interceptor above autograd may have pushed one below it for this very call.
    const c10::DispatchKey below = key_of(OpLevel::kBelowAutograd);
    const bool seen_below = level_ == OpLevel::kAboveAutograd &&
                            innermost[index_of(OpLevel::kBelowAutograd)] != nullptr &&
                            !c10::impl::tls_is_dispatch_key_excluded(below);
    op_.redispatchBoxed(seen_below ? keys_.add(below) : keys_, &stack_);
    return;
  }
  OpInterceptor* interceptor = next_;
  next_ = interceptor->outer_;
  interceptor->intercept(*this);
}

namespace {

template <OpLevel level>
void fallback(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  dispatch_to_interceptors(level, op, keys, *stack);
}

/// Never destroyed: operators may run on other threads until the process ends. Held in a place that leak
/// checkers see.
void keep_for_ever(std::unique_ptr<torch::Library> library) {
  static auto& libraries = *new std::vector<std::unique_ptr<torch::Library>>();
  libraries.push_back(std::move(library));
}

/// Registers the fallback of a level under one key, for the whole process; false if the key is taken.
template <OpLevel level>
bool register_under(c10::DispatchKey key, std::string& refusal) {
  try {
    auto library =
        std::make_unique<torch::Library>(torch::Library::IMPL, "_", key, __FILE__, __LINE__);
    library->fallback(torch::CppFunction::makeFromBoxedFunction<&fallback<level>>());
    keep_for_ever(std::move(library));
    return true;
  } catch (const std::exception& error) {
    refusal = error.what();
    return false;
  }
}

template <OpLevel level>
std::string register_fallback() {
  std::string refusal;
  for (c10::DispatchKey key : kCandidates[index_of(level)]) {
    if (key != c10::DispatchKey::Undefined && register_under<level>(key, refusal)) {
      chosen[index_of(level)].store(key, std::memory_order_relaxed);
      return "";
    }
  }
  return std::string("remat cannot see operators ") +
         (level == OpLevel::kAboveAutograd ? "above" : "below") +
         " autograd: every dispatch key of LibTorch that it could use for that is taken by another "
         "library in this process (torchdistx, or further copies of remat?). Load one of them "
         "only. LibTorch said: " +
         refusal;
}

}  // namespace

const std::string& interception_obstacle(OpLevel level) {
  if (level == OpLevel::kAboveAutograd) {
    static const std::string obstacle = register_fallback<OpLevel::kAboveAutograd>();
    return obstacle;
  }
  static const std::string obstacle = register_fallback<OpLevel::kBelowAutograd>();
  return obstacle;
}

namespace {

c10::DispatchKey checked_key_of(OpLevel level) {
  const std::string& obstacle = interception_obstacle(level);
  if (!obstacle.empty()) {
    throw Error(obstacle);
  }
  return key_of(level);
}

}  // namespace

OpLevel best_level() {
  if (interception_obstacle(OpLevel::kAboveAutograd).empty()) {
    return OpLevel::kAboveAutograd;
  }
  checked_key_of(OpLevel::kBelowAutograd);
  return OpLevel::kBelowAutograd;
}

InterceptorScope::InterceptorScope(OpLevel level, OpInterceptor& interceptor)
    : level_(level), before_(innermost[index_of(level)]), include_(checked_key_of(level)) {
  interceptor.outer_ = first_to_ask(level);
  innermost[index_of(level)] = &interceptor;
}

InterceptorScope::~InterceptorScope() { innermost[index_of(level_)] = before_; }

InterceptorPause::InterceptorPause()
    : exclude_(c10::DispatchKeySet(key_of(OpLevel::kAboveAutograd)) |
               c10::DispatchKeySet(key_of(OpLevel::kBelowAutograd))) {}

InterceptorPause::InterceptorPause(OpLevel level) : exclude_(c10::DispatchKeySet(key_of(level))) {}

}  // namespace remat::torch_bridge

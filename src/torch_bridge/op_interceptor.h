// Seeing every operator of a thread: one boxed fallback per dispatch key, and a stack of interceptors
// that regions and the tape push onto. No cost for a thread that has none.
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130 (keys DeferredInit and Fake, which LibTorch reserves but does not
// use; where another library has taken DeferredInit, TESTING_ONLY_GenericMode).
#pragma once

#include <string>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace remat::torch_bridge {

/// Where in an operator's way through the dispatcher it is seen.
enum class OpLevel {
  kAboveAutograd,  ///< before autograd (and autocast): composite operators whole, then their parts
  kBelowAutograd,  ///< after autograd: only what a backend kernel will run, in forward and backward
};

class OpInterceptor;

/// One call of an operator on its way down: the interceptors still to be asked, then the kernel.
class OpCall {
 public:
  const c10::OperatorHandle& op() const { return op_; }

  /// Before proceed() the arguments are the last `argument_count()` entries of the stack; after it
  /// the results are the last `result_count()`.
  torch::jit::Stack& stack() { return stack_; }
  std::size_t argument_count() const { return schema_.arguments().size(); }
  std::size_t result_count() const { return schema_.returns().size(); }

  /// Runs the operator. To be called at most once.
  void proceed();

 private:
  friend void dispatch_to_interceptors(OpLevel, const c10::OperatorHandle&, c10::DispatchKeySet,
                                       torch::jit::Stack&);
  OpCall(OpLevel level, const c10::OperatorHandle& op, c10::DispatchKeySet keys,
         torch::jit::Stack& stack, OpInterceptor* next)
      : level_(level), op_(op), schema_(op.schema()), keys_(keys), stack_(stack), next_(next) {}

  OpLevel level_;
  const c10::OperatorHandle& op_;
  const c10::FunctionSchema& schema_;
  c10::DispatchKeySet keys_;
  torch::jit::Stack& stack_;
  OpInterceptor* next_;
};

/// Something that looks at operators. Asked innermost first; must call `call.proceed()` to let the
/// operator run, may throw instead.
class OpInterceptor {
 public:
  virtual ~OpInterceptor() = default;
  virtual void intercept(OpCall& call) = 0;

 private:
  friend class OpCall;
  friend class InterceptorScope;
  OpInterceptor* outer_ = nullptr;
};

/// While it lives, `interceptor` sees this thread's operators at `level`. Scopes end in reverse order.
/// Errors: remat::Error if the level cannot be intercepted (see interception_obstacle).
class InterceptorScope {
 public:
  InterceptorScope(OpLevel level, OpInterceptor& interceptor);
  ~InterceptorScope();
  InterceptorScope(const InterceptorScope&) = delete;
  InterceptorScope& operator=(const InterceptorScope&) = delete;

 private:
  OpLevel level_;
  OpInterceptor* before_;  // on this thread
  c10::impl::IncludeDispatchKeyGuard include_;
};

/// While it lives, no interceptor sees this thread's operators: for work of remat's own. With a level, none
/// of that level.
class InterceptorPause {
 public:
  InterceptorPause();
  explicit InterceptorPause(OpLevel level);

 private:
  c10::impl::ExcludeDispatchKeyGuard exclude_;
};

/// Empty if operators can be intercepted at `level` in this process, otherwise why not: the dispatch
/// keys are taken by other libraries. Registers remat's fallback on the first call.
const std::string& interception_obstacle(OpLevel level);

/// The level at which this process can see the operators of a region: above autograd, or below it where
/// other libraries have the keys for that.
/// Errors: remat::Error if neither can be intercepted.
OpLevel best_level();

/// Whether code running now is above autograd: not inside the kernel that autograd wraps.
inline bool is_above_autograd() {
  return !c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutogradFunctionality);
}

}  // namespace remat::torch_bridge

// Region checkpointing: drop a region's activations, recompute them when backward needs them.
// The rules cited here are those of docs/design/semantics.md.
#pragma once

#include <any>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include <c10/core/GradMode.h>

#include <remat/error.h>
#include <remat/region_call.h>

namespace remat {

class RegionHandle;  // graph_group.h

/// How closely a recomputation is compared with the forward it repeats (Rule 9).
enum class Determinism {
  kNone,  ///< only the number of saved tensors
  kMetadata,  ///< also each one's sizes, strides, dtype, device, requires_grad and the operator that saved it
  kValues,  ///< also each one's bits, by a hash: costs a read of every saved tensor in both passes
};

/// Saves and restores state of the user's own that a region's function reads or changes, and that remat
/// cannot know of: a random number generator of another library, a position in a stream, a counter that
/// decides a branch. Give both or neither.
///
/// `save` is called before the forward. Around a recomputation, `save` is called again, then `restore` with
/// what the first gave; after it, however it ends, `restore` with what the second gave.
///
/// Errors: what they throw leaves through checkpoint() or backward().
/// Threads: they run where the region runs: recomputations may be on other threads, and several at once.
struct StateCallbacks {
  std::function<std::any()> save;
  std::function<void(const std::any&)> restore;
};

/// Options of one checkpointed call. An aggregate: `{.early_stop = false}` where the compiler allows.
struct CheckpointOptions {
  /// Recompute with the random numbers that the forward drew. Turn it off only for a region whose
  /// randomness may differ; a region that draws none pays nothing for it.
  bool preserve_rng_state = true;
  /// Stop a recomputation once the last tensor that backward can ask for has been saved (Rule 8).
  bool early_stop = true;
  Determinism determinism = Determinism::kMetadata;
  /// Record the operators of both passes; a CheckpointError then shows them side by side, the first
  /// difference marked. Costs a few bytes and about 20 ns for each operator.
  bool debug = false;
  /// What messages and profilers call the region.
  std::string name;
  /// State of the user's own that a recomputation needs as the forward found it (Rule 16).
  StateCallbacks state;
  /// Receives a handle of the region when its forward has returned, for recomputing it early (Rule 17).
  /// Left alone without gradient mode, and in recomputations.
  RegionHandle* handle = nullptr;
};

/// Calls `fn(args...)` and returns what it returns, but autograd keeps none of the tensors that `fn`
/// saves: when backward needs one, `fn` is called again on the same arguments. Gradients, buffers and
/// the outer random number stream are bit-identical to the plain call's. The equivalent of
/// torch.utils.checkpoint(use_reentrant=False).
///
/// `fn` is any callable, or a module holder, Sequential, AnyModule or std::shared_ptr to a module,
/// whose `forward` is then called. `args` and the result are anything; tensors inside optionals,
/// pairs, tuples, variants, standard containers and c10::IValue are found.
///
/// Shapes:   whatever `fn` takes and gives.
/// Errors:   what `fn` throws, unchanged. Later, from backward(): CheckpointError if the recomputation
///           saves another number of tensors or tensors with other metadata (Rule 9), or if an argument
///           or captured tensor was changed in place after the call (Rule 11).
/// Threads:  independent calls may run on any threads; backward may run on another thread than the call.
/// Lifetime: copies of `fn` and of the arguments live until the graph has released every tensor saved
///           in the region. What `fn` refers to (captured references, std::ref) must live as long.
///           The output is not kept.
/// Cost:     forward: under 1 us for each operator and each saved tensor. Each backward pass through
///           the region: one more call of `fn`, at most (Rule 8). Without gradient mode: nothing.
/// Source:   Chen et al. 2016, arXiv:1604.06174.
/// Example:  auto y = remat::checkpoint(block, x, mask);
template <class F, class... Args, std::enable_if_t<detail::is_callable_v<F, Args...>, int> = 0>
detail::call_result_t<F, Args...> checkpoint(F&& fn, Args&&... args);

/// The same, with options.
template <class F, class... Args, std::enable_if_t<detail::is_callable_v<F, Args...>, int> = 0>
detail::call_result_t<F, Args...> checkpoint(const CheckpointOptions& options, F&& fn,
                                             Args&&... args);

/// True while this thread is recomputing a region: code that counts, logs or updates state of its own
/// inside `fn` can do so once per step. Buffers need no such care (Rule 12).
bool is_recomputing();

// ---------------------------------------------------------------------------------------------------
// Implementation of the templates.

template <class F, class... Args, std::enable_if_t<detail::is_callable_v<F, Args...>, int>>
detail::call_result_t<F, Args...> checkpoint(const CheckpointOptions& options, F&& fn,
                                             Args&&... args) {
  using Result = detail::call_result_t<F, Args...>;
  if (!c10::GradMode::is_enabled()) {
    return detail::call(fn, std::forward<Args>(args)...);
  }
  auto stored = detail::StoredCall<F, Args...>::make(std::forward<F>(fn), args...);
  auto& callable = stored->callable_for_forward(fn);
  detail::RegionForward forward(options, stored->take_tensors(),
                                [stored](const auto& tensors) { stored->call_again(tensors); });
  if constexpr (std::is_void_v<Result>) {
    detail::call(callable, std::forward<Args>(args)...);
    forward.finish();
  } else {
    Result result = detail::call(callable, std::forward<Args>(args)...);
    forward.finish();
    return static_cast<Result&&>(result);
  }
}

template <class F, class... Args, std::enable_if_t<detail::is_callable_v<F, Args...>, int>>
detail::call_result_t<F, Args...> checkpoint(F&& fn, Args&&... args) {
  return checkpoint(CheckpointOptions(), std::forward<F>(fn), std::forward<Args>(args)...);
}

}  // namespace remat

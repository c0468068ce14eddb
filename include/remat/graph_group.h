// When regions are recomputed, and for how many backward passes: what pipeline schedules need.
#pragma once

#include <memory>
#include <utility>

namespace remat {

class Frame;
namespace detail {
class RegionForward;
}

/// One checkpointed call, to be recomputed before backward asks for it. Ask for one with
/// `CheckpointOptions::handle`.
///
/// Threads:  may be used on any thread, and on several at once.
/// Lifetime: does not keep the region alive, nor needs to outlive it.
class RegionHandle {
 public:
  RegionHandle() = default;

  /// Recomputes the region now, on this thread. The next backward pass (or, inside of a
  /// GraphGroup::Scope, every pass of the group) finds what it saves and recomputes nothing. Until then
  /// it is held; it goes with the graph. Does nothing if backward can ask for nothing: the graph was
  /// released, nothing was saved, or it has been done.
  ///
  /// Errors: what the region's function throws; CheckpointError as from backward.
  /// Cost:   one call of the region's function, and the memory of its activations until backward.
  /// Example:
  ///   remat::RegionHandle handle;
  ///   remat::CheckpointOptions options;
  ///   options.handle = &handle;
  ///   auto y = remat::checkpoint(options, stage, x);
  ///   send(y);
  ///   handle.prefetch();                 // while the gradient is under way
  ///   y.backward(receive());
  void prefetch() const;

 private:
  friend class detail::RegionForward;
  explicit RegionHandle(std::weak_ptr<Frame> frame) : frame_(std::move(frame)) {}

  std::weak_ptr<Frame> frame_;
};

/// Backward passes that share one recomputation of each region: for schedules that split a backward, as
/// zero-bubble pipelines do (first the gradients of inputs, later those of weights). PyTorch's
/// GraphExecGroup; here the passes may overlap and ask for the same tensors.
///
/// Threads:  its functions may be called on any thread; passes of one group may run at once.
/// Lifetime: what is recomputed for a pass of the group is held until the graph releases it (a pass
///           without retain_graph does), release(), or the end of the last copy of the group and of
///           its scopes.
/// Cost:     the activations of every region that was recomputed in it stay in memory.
/// Source:   Qi et al. 2024, "Zero Bubble Pipeline Parallelism", arXiv:2401.10241 (use).
/// Example:
///   remat::GraphGroup group;
///   {
///     remat::GraphGroup::Scope scope(group);
///     grad_x = torch::autograd::grad({y}, {x}, {grad_y}, /*retain_graph=*/true)[0];  // recomputes
///   }
///   // ... other micro-batches ...
///   remat::GraphGroup::Scope scope(group);
///   grad_w = torch::autograd::grad({y}, {w}, {grad_y})[0];                           // does not
class GraphGroup {
 public:
  GraphGroup();

  /// Lets go of what was recomputed; a later pass of the group recomputes again.
  void release();

  /// While it lives, the passes that this thread starts belong to the group, on whatever threads
  /// autograd runs them. Scopes end in reverse order; the innermost applies.
  class Scope {
   public:
    explicit Scope(const GraphGroup& group);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    class Impl;
    std::unique_ptr<Impl> impl_;
  };

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace remat

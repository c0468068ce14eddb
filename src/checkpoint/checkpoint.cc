#include <optional>

#include <remat/checkpoint.h>
#include <remat/graph_group.h>

#include "base/check.h"
#include "checkpoint/frame.h"
#include "checkpoint/recomputing_scope.h"

namespace remat {
namespace {

thread_local int recomputing_depth = 0;

}  // namespace

bool is_recomputing() { return recomputing_depth > 0; }

RecomputingScope::RecomputingScope() { ++recomputing_depth; }
RecomputingScope::~RecomputingScope() { --recomputing_depth; }

namespace detail {

class RegionForward::Impl {
 public:
  Impl(const CheckpointOptions& options, std::shared_ptr<Frame> frame)
      : frame_(std::move(frame)), handle_(options.handle) {
    hooks_.emplace(*frame_);
    operators_.emplace(frame_->forward_pass().level(), frame_->forward_pass());
    if (options.preserve_rng_state) {
      draws_.emplace(frame_->forward_pass().draws());
    }
  }

  void finish() {
    draws_.reset();
    operators_.reset();
    hooks_.reset();
    frame_->finish_forward();
    // In a recomputation the handle may be gone, and this frame is of no later use.
    if (handle_ != nullptr && !is_recomputing()) {
      *handle_ = RegionHandle(frame_);
    }
  }

 private:
  std::shared_ptr<Frame> frame_;
  RegionHandle* handle_;
  std::optional<torch_bridge::HookScope> hooks_;
  std::optional<torch_bridge::InterceptorScope> operators_;
  std::optional<torch_bridge::RecordDraws> draws_;
};

namespace {

const CheckpointOptions& checked(const CheckpointOptions& options) {
  const bool saves = static_cast<bool>(options.state.save);
  const bool restores = static_cast<bool>(options.state.restore);
  REMAT_CHECK(saves == restores, InvalidArgument,
              "remat::checkpoint: CheckpointOptions::state has only one of `save` and `restore`. A "
              "recomputation needs both: give the other one too, or neither.");
  return options;
}

}  // namespace

RegionForward::RegionForward(const CheckpointOptions& options, std::vector<at::Tensor> inputs,
                             Recompute recompute)
    : impl_(std::make_unique<Impl>(
          checked(options), std::make_shared<Frame>(options, inputs, std::move(recompute)))) {}

RegionForward::~RegionForward() = default;

void RegionForward::finish() { impl_->finish(); }

}  // namespace detail
}  // namespace remat

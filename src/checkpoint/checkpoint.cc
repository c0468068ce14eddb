#include <optional>

#include <remat/checkpoint.h>

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
  explicit Impl(std::shared_ptr<Frame> frame) : frame_(std::move(frame)) {
    hooks_.emplace(*frame_);
    operators_.emplace(torch_bridge::OpLevel::kAboveAutograd, frame_->forward_pass());
  }

  void finish() {
    operators_.reset();
    hooks_.reset();
    frame_->finish_forward();
  }

 private:
  std::shared_ptr<Frame> frame_;
  std::optional<torch_bridge::HookScope> hooks_;
  std::optional<torch_bridge::InterceptorScope> operators_;
};

RegionForward::RegionForward(const CheckpointOptions& options, std::vector<at::Tensor> inputs,
                             Recompute recompute)
    : impl_(
          std::make_unique<Impl>(std::make_shared<Frame>(options, inputs, std::move(recompute)))) {}

RegionForward::~RegionForward() = default;

void RegionForward::finish() { impl_->finish(); }

}  // namespace detail
}  // namespace remat

#include <remat/graph_group.h>

#include "checkpoint/frame.h"
#include "torch_bridge/graph_task.h"

namespace remat {

void RegionHandle::prefetch() const {
  if (const auto frame = frame_.lock()) {
    frame->prefetch();
  }
}

class GraphGroup::Impl {
 public:
  Impl() : passes_(std::make_shared<torch_bridge::PassGroup>()) {}
  ~Impl() { passes_->release(); }

  const std::shared_ptr<torch_bridge::PassGroup>& passes() const { return passes_; }

 private:
  std::shared_ptr<torch_bridge::PassGroup> passes_;
};

class GraphGroup::Scope::Impl {
 public:
  explicit Impl(std::shared_ptr<GraphGroup::Impl> group)
      : group_(std::move(group)), scope_(group_->passes()) {}

 private:
  std::shared_ptr<GraphGroup::Impl> group_;
  torch_bridge::PassGroupScope scope_;
};

GraphGroup::GraphGroup() : impl_(std::make_shared<Impl>()) {}

void GraphGroup::release() { impl_->passes()->release(); }

GraphGroup::Scope::Scope(const GraphGroup& group) : impl_(std::make_unique<Impl>(group.impl_)) {}
GraphGroup::Scope::~Scope() = default;

}  // namespace remat

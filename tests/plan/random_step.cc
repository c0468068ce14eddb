#include "tests/plan/random_step.h"

#include <string>
#include <utility>
#include <vector>

namespace remat::testing {
namespace {

class RandomStep {
 public:
  RandomStep(Choices& choices, StepLimits limits) : choices_(choices), limits_(limits) {}

  OpGraph make() {
    graph_.name = "random step";
    graph_.device = "none";
    graph_.fixed = bytes();
    if (choices_.one_in(2)) activations_.push_back(add_value());
    const auto forward = choices_.between(2, limits_.forward_ops);
    for (std::int64_t i = 0; i < forward; ++i) add_forward();
    gradient_ = add_value();
    add_op(Phase::kBackward, {activations_.back()}, {gradient_});
    for (auto op = static_cast<std::size_t>(forward); op-- > 0;) add_backward(op);
    return std::move(graph_);
  }

 private:
  bool odd() { return limits_.oddities > 0 && choices_.one_in(limits_.oddities); }
  std::int64_t amount() { return choices_.between(1, limits_.largest); }
  Bytes bytes() { return Bytes(amount()); }

  ValueId add_value() {
    const ValueId id{static_cast<std::int64_t>(graph_.values.size())};
    graph_.values.push_back({id, bytes(), {}});
    return id;
  }

  GraphOp& add_op(Phase phase, std::vector<ValueId> reads, std::vector<ValueId> writes) {
    GraphOp op;
    op.id = OpId{static_cast<std::int64_t>(graph_.ops.size())};
    op.name = "op" + std::to_string(graph_.ops.size());
    op.phase = phase;
    op.time = std::chrono::nanoseconds(amount());
    op.reads = std::move(reads);
    op.writes = std::move(writes);
    if (odd()) op.workspace = bytes();
    graph_.ops.push_back(op);
    return graph_.ops.back();
  }

  ValueId some_activation() {
    const auto count = static_cast<std::int64_t>(activations_.size());
    return activations_[static_cast<std::size_t>(choices_.below(count))];
  }

  void add_forward() {
    std::vector<ValueId> reads;
    if (!activations_.empty()) reads.push_back(activations_.back());
    if (!activations_.empty() && choices_.one_in(3)) {
      const auto skip = some_activation();
      if (skip != reads.front()) reads.push_back(skip);
    }
    std::vector<ValueId> writes = {add_value()};
    if (odd()) writes.push_back(add_value());
    auto& op = add_op(Phase::kForward, reads, writes);
    if (odd()) op.recompute_time = std::chrono::nanoseconds(amount());
    if (odd()) op.recompute = choices_.one_in(2) ? Recompute::kRng : Recompute::kNever;
    if (!reads.empty() && odd()) op.reuses.push_back({reads.front(), writes.front()});
    if (odd()) hold(writes.back());
    activations_.insert(activations_.end(), writes.begin(), writes.end());
  }

  void hold(ValueId value) {
    const auto now = static_cast<std::int64_t>(graph_.ops.size()) - 1;
    held_.emplace_back(value, now + choices_.between(0, 3));
  }

  // An operator that works in place saves what it writes, others what they read, some both.
  void add_backward(std::size_t forward_op) {
    const auto forward = graph_.ops[forward_op];
    std::vector<ValueId> reads = {gradient_};
    if (forward.reuses.empty() && !choices_.one_in(4)) {
      reads.insert(reads.end(), forward.reads.begin(), forward.reads.end());
    } else {
      reads.push_back(forward.writes.front());
    }
    gradient_ = add_value();
    add_op(Phase::kBackward, reads, {gradient_});
    for (const auto& [value, op] : std::exchange(held_, {})) {
      const auto last = static_cast<std::int64_t>(graph_.ops.size()) - 1;
      graph_.values[static_cast<std::size_t>(value)].held_until = OpId{std::min(op, last)};
    }
  }

  Choices& choices_;
  const StepLimits limits_;
  OpGraph graph_;
  std::vector<ValueId> activations_;
  std::vector<std::pair<ValueId, std::int64_t>> held_;
  ValueId gradient_{};
};

}  // namespace

OpGraph random_step(Choices& choices, StepLimits limits) {
  return RandomStep(choices, limits).make();
}

}  // namespace remat::testing

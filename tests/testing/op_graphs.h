// Op graphs made by hand, a line for each op.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <remat/graph.h>

namespace remat::testing {

/// Ids count from 0 in the order in which values and ops are added.
class OpGraphBuilder {
 public:
  explicit OpGraphBuilder(std::int64_t fixed_bytes = 0) {
    graph_.name = "built";
    graph_.device = "none";
    graph_.fixed = Bytes(fixed_bytes);
  }

  ValueId value(std::int64_t bytes) {
    const ValueId id{static_cast<std::int64_t>(graph_.values.size())};
    graph_.values.push_back({id, Bytes(bytes), {}});
    return id;
  }

  GraphOp& op(Phase phase, std::int64_t time_ns, std::vector<ValueId> reads,
              std::vector<ValueId> writes) {
    GraphOp op;
    op.id = OpId{static_cast<std::int64_t>(graph_.ops.size())};
    op.name = "op" + std::to_string(graph_.ops.size());
    op.phase = phase;
    op.time = std::chrono::nanoseconds(time_ns);
    op.reads = std::move(reads);
    op.writes = std::move(writes);
    graph_.ops.push_back(op);
    return graph_.ops.back();
  }

  OpGraph graph() const { return graph_; }

 private:
  OpGraph graph_;
};

/// `layers` layers: forward i reads activation i and writes i + 1; then, last first, backward i reads
/// activations i and i + 1 and the gradient of the latter. Activations have `bytes`, gradients 1.
inline OpGraph layers_graph(int layers, std::int64_t bytes) {
  OpGraphBuilder build;
  std::vector<ValueId> activations = {build.value(bytes)};
  for (int i = 0; i < layers; ++i) {
    activations.push_back(build.value(bytes));
    build.op(Phase::kForward, 10, {activations[static_cast<std::size_t>(i)]}, {activations.back()});
  }
  auto gradient = build.value(1);
  build.op(Phase::kBackward, 1, {activations.back()}, {gradient});
  for (auto i = static_cast<std::size_t>(layers); i-- > 0;) {
    const auto next = build.value(1);
    build.op(Phase::kBackward, 20, {activations[i], activations[i + 1], gradient}, {next});
    gradient = next;
  }
  return build.graph();
}

}  // namespace remat::testing

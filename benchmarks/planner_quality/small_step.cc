#include "planner_quality/small_step.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace remat::benchmarks {
namespace {

constexpr std::int64_t kLayers = 16;

GraphOp op(std::int64_t id, Phase phase, std::int64_t microseconds) {
  GraphOp result;
  result.id = OpId{id};
  result.name = (phase == Phase::kForward ? "forward" : "backward") + std::to_string(id);
  result.phase = phase;
  result.time = std::chrono::microseconds(microseconds);
  return result;
}

}  // namespace

OpGraph small_step() {
  OpGraph graph;
  graph.name = "small_step";
  graph.device = "none";
  const auto add_value = [&graph](std::int64_t mebibytes) {
    const ValueId id{static_cast<std::int64_t>(graph.values.size())};
    graph.values.push_back({id, Bytes(mebibytes << 20), {}});
    return id;
  };
  std::vector<ValueId> activations;
  for (std::int64_t i = 0; i < kLayers; ++i) {
    auto layer = op(i, Phase::kForward, 100 + 37 * (i % 5));
    if (i > 0) layer.reads = {activations.back()};
    activations.push_back(add_value(1 + i % 3));
    layer.writes = {activations.back()};
    graph.ops.push_back(std::move(layer));
  }
  auto gradient = add_value(1);
  for (std::int64_t i = kLayers; i-- > 0;) {
    auto layer = op(2 * kLayers - 1 - i, Phase::kBackward, 200 + 74 * (i % 5));
    layer.reads = {activations[static_cast<std::size_t>(i)]};
    if (i + 1 < kLayers) layer.reads.push_back(gradient);
    if (i + 1 < kLayers) gradient = add_value(1);
    layer.writes = {gradient};
    graph.ops.push_back(std::move(layer));
  }
  return graph;
}

}  // namespace remat::benchmarks

#include "planner_time/problems.h"

#include <random>
#include <string>
#include <utility>
#include <vector>

namespace remat::benchmarks {
namespace {

class Random {
 public:
  explicit Random(std::uint64_t seed) : generator_(seed) {}

  Bytes mebibytes(std::int64_t low, std::int64_t high) {
    return Bytes(between(low << 20, high << 20));
  }
  std::chrono::nanoseconds microseconds(std::int64_t low, std::int64_t high) {
    return std::chrono::nanoseconds(between(1000 * low, 1000 * high));
  }

 private:
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low +
           static_cast<std::int64_t>(generator_() % static_cast<std::uint64_t>(high - low + 1));
  }

  std::mt19937_64 generator_;
};

Stage random_stage(Random& random) {
  Stage stage;
  stage.output = random.mebibytes(1, 16);
  stage.forward_time = random.microseconds(100, 5000);
  stage.forward_workspace = random.mebibytes(0, 8);
  stage.options = {{"all", stage.output + random.mebibytes(4, 100), stage.forward_time,
                    stage.forward_workspace, 2 * stage.forward_time, random.mebibytes(0, 16)}};
  return stage;
}

class GrowingGraph {
 public:
  OpGraph make(std::int64_t layers) {
    graph_.name = "layers";
    auto activation = value();
    std::vector<std::vector<ValueId>> made;
    for (std::int64_t i = 0; i < layers; ++i) {
      const auto inner = op(Phase::kForward, {activation});
      const auto outer = op(Phase::kForward, {inner});
      made.push_back({activation, inner, outer});
      activation = outer;
    }
    auto gradient = op(Phase::kBackward, {activation});
    for (; !made.empty(); made.pop_back()) {
      gradient = op(Phase::kBackward, {gradient, made.back()[1], made.back()[2]});
      gradient = op(Phase::kBackward, {gradient, made.back()[0], made.back()[1]});
    }
    return std::move(graph_);
  }

 private:
  ValueId value() {
    const ValueId id{static_cast<std::int64_t>(graph_.values.size())};
    graph_.values.push_back({id, random_.mebibytes(1, 16), {}});
    return id;
  }

  ValueId op(Phase phase, std::vector<ValueId> reads) {
    GraphOp op;
    op.id = OpId{static_cast<std::int64_t>(graph_.ops.size())};
    op.name = "op";
    op.phase = phase;
    op.time = random_.microseconds(100, 5000);
    op.reads = std::move(reads);
    op.writes = {value()};
    graph_.ops.push_back(op);
    return op.writes.front();
  }

  Random random_{1};
  OpGraph graph_;
};

}  // namespace

Chain chain_of(std::int64_t stages, std::int64_t kinds) {
  Random random(1);
  Chain chain;
  chain.name = "growing";
  chain.input = random.mebibytes(8, 8);
  for (std::int64_t i = 0; i < stages; ++i) {
    const auto same = static_cast<std::size_t>(i - kinds);
    chain.stages.push_back(i < kinds ? random_stage(random) : Stage(chain.stages[same]));
  }
  chain.stages.push_back(random_stage(random));
  return chain;
}

OpGraph graph_of(std::int64_t layers) { return GrowingGraph().make(layers); }

}  // namespace remat::benchmarks

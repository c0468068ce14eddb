#include "plan/segment_plan.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include <remat/simulator.h>

#include "base/check.h"
#include "base/text.h"
#include "graph/ids.h"
#include "graph/indexed_graph.h"
#include "plan/run_sequence.h"

namespace remat::plan {
namespace {

std::string source_of(const OpGraph& graph) {
  return fmt::format("plan: op graph {}", quote(graph.name));
}

// Which segment each forward op is in, and which segments are checkpointed.
struct Segmentation {
  std::vector<std::optional<std::size_t>> segment_of_op;  // none for backward ops
  std::vector<std::vector<std::size_t>> ops;
  std::vector<bool> checkpointed;
};

Segmentation cut(const OpGraph& graph, const Placement& placement) {
  std::vector<std::size_t> forward;
  for (std::size_t op = 0; op < graph.ops.size(); ++op) {
    if (graph.ops[op].phase == Phase::kForward) forward.push_back(op);
  }
  Segmentation cut;
  cut.segment_of_op.resize(graph.ops.size());
  if (forward.empty()) return cut;
  for (const auto& segment : placement.segments(static_cast<std::int64_t>(forward.size()))) {
    const auto begin = forward.begin() + segment.begin;
    cut.ops.emplace_back(begin, forward.begin() + segment.end);
    for (const auto op : cut.ops.back()) cut.segment_of_op[op] = cut.checkpointed.size();
    cut.checkpointed.push_back(segment.checkpointed);
  }
  return cut;
}

// What can be made again, and what a segmentation keeps.
class Keeping {
 public:
  Keeping(const OpGraph& graph, const graph::IndexedGraph& index, const Segmentation& cut)
      : graph_(graph),
        index_(index),
        handed_over_(graph.values.size()),
        replayable_(graph.ops.size()),
        crosses_(graph.values.size()) {
    for (const auto& op : index.ops()) {
      for (const auto& reuse : op.reuses) handed_over_[reuse.read] = true;
    }
    for (std::size_t op = 0; op < graph.ops.size(); ++op) {
      replayable_[op] = can_be_replayed(op);
      if (cut.segment_of_op[op]) note_crossings(op, cut);
    }
  }

  // Whether a checkpointed segment lets go of this value of its own.
  bool drops(std::size_t value) const {
    const auto writer = index_.writer(value);
    return writer && replayable_[*writer] && !crosses_[value];
  }

  bool can_be_made_again(std::size_t value) const {
    const auto writer = index_.writer(value);
    return writer && replayable_[*writer];
  }

 private:
  // What it reads is there as long as somebody needs it, unless it is overwritten, or made again too.
  bool can_be_replayed(std::size_t op) const {
    const auto& reads = index_.ops()[op].reads;
    return graph_.ops[op].phase == Phase::kForward &&
           graph_.ops[op].recompute != Recompute::kNever &&
           std::all_of(reads.begin(), reads.end(), [this](std::size_t value) {
             return !handed_over_[value] || can_be_made_again(value);
           });
  }

  void note_crossings(std::size_t op, const Segmentation& cut) {
    for (const auto value : index_.ops()[op].reads) {
      const auto writer = index_.writer(value);
      if (writer && cut.segment_of_op[*writer] != cut.segment_of_op[op]) crosses_[value] = true;
    }
  }

  const OpGraph& graph_;
  const graph::IndexedGraph& index_;
  std::vector<bool> handed_over_;  // overwritten in place by an op's first run
  std::vector<bool> replayable_;
  std::vector<bool> crosses_;  // read in forward by another segment
};

// The order of runs, replays included.
class SegmentedStep {
 public:
  SegmentedStep(const OpGraph& graph, const graph::IndexedGraph& index, const Segmentation& cut)
      : graph_(graph),
        index_(index),
        cut_(cut),
        keeping_(graph, index, cut),
        there_(graph.values.size()),
        last_reader_(graph.values.size()),
        needed_(graph.ops.size()) {
    for (std::size_t value = 0; value < there_.size(); ++value) {
      there_[value] = !index.writer(value).has_value();
    }
    for (std::size_t op = 0; op < graph.ops.size(); ++op) {
      for (const auto value : index.ops()[op].reads) last_reader_[value] = op;
    }
  }

  std::vector<std::size_t> runs() {
    for (op_ = 0; op_ < graph_.ops.size(); ++op_) {
      for (const auto value : index_.ops()[op_].reads) {
        if (!there_[value]) replay_for(value);
      }
      run_first();
      if (const auto segment = cut_.segment_of_op[op_]) {
        if (cut_.checkpointed[*segment] && cut_.ops[*segment].back() == op_) leave(*segment);
      }
    }
    return std::move(runs_);
  }

 private:
  void run_first() {
    runs_.push_back(op_);
    for (const auto& reuse : index_.ops()[op_].reuses) there_[reuse.read] = false;
    for (const auto value : index_.ops()[op_].writes) there_[value] = true;
  }

  void leave(std::size_t segment) {
    for (const auto op : cut_.ops[segment]) {
      for (const auto value : index_.ops()[op].writes) {
        if (keeping_.drops(value)) there_[value] = false;
      }
    }
  }

  // All that the rest of the step reads of what the value's segment let go, if that is checkpointed.
  std::vector<std::size_t> targets_with(std::size_t value) const {
    const auto segment = cut_.segment_of_op[*index_.writer(value)];
    if (!segment || !cut_.checkpointed[*segment] || cut_.ops[*segment].back() >= op_)
      return {value};
    std::vector<std::size_t> targets;
    for (const auto op : cut_.ops[*segment]) {
      for (const auto written : index_.ops()[op].writes) {
        if (!there_[written] && last_reader_[written] >= op_) targets.push_back(written);
      }
    }
    return targets;
  }

  void replay_for(std::size_t value) {
    check_can_be_made(value);
    const auto targets = targets_with(value);
    auto ops = ops_to_make(targets);
    std::sort(ops.begin(), ops.end());
    for (const auto op : ops) {
      runs_.push_back(op);
      needed_[op] = false;
    }
    // The rest of what these ops write goes again after its last use among them.
    for (const auto target : targets) there_[target] = true;
  }

  std::vector<std::size_t> ops_to_make(std::vector<std::size_t> missing) {
    std::vector<std::size_t> ops;
    while (!missing.empty()) {
      const auto value = missing.back();
      missing.pop_back();
      check_can_be_made(value);
      const auto op = *index_.writer(value);
      if (needed_[op]) continue;
      needed_[op] = true;
      ops.push_back(op);
      for (const auto read : index_.ops()[op].reads) {
        if (!there_[read]) missing.push_back(read);
      }
    }
    return ops;
  }

  void check_can_be_made(std::size_t value) const {
    REMAT_CHECK(keeping_.can_be_made_again(value), InvalidArgument,
                "{}: op {} ({}) needs value {} after it was overwritten in place (`reuses`), and it "
                "cannot be made again; expected an op that reads it before that",
                source_of(graph_), graph_.ops[op_].id, printable(graph_.ops[op_].name),
                graph_.values[value].id);
  }

  const OpGraph& graph_;
  const graph::IndexedGraph& index_;
  const Segmentation& cut_;
  const Keeping keeping_;
  std::vector<bool> there_;
  std::vector<std::size_t> last_reader_;
  std::vector<bool> needed_;
  std::size_t op_ = 0;
  std::vector<std::size_t> runs_;
};

}  // namespace

Plan plan_segments(const OpGraph& graph, const Placement& placement) {
  const graph::IndexedGraph index(graph, source_of(graph));
  const auto segments = cut(graph, placement);
  auto plan = with_drops(graph, index, SegmentedStep(graph, index, segments).runs());
  const auto simulation = simulate(graph, plan);
  REMAT_ASSERT(simulation.valid());
  plan.predicted_peak = simulation.peak;
  plan.budget = simulation.peak;
  plan.predicted_time = simulation.time;
  plan.plain_time = simulation.plain_time;
  plan.lower_bound_time = simulation.plain_time;
  plan.planner = placement.to_string();
  return plan;
}

}  // namespace remat::plan

#include "plan/run_sequence.h"

#include <algorithm>
#include <cstdint>

namespace remat::plan {
namespace {

// For each run, the values that nothing needs after it until they are made again. Run 0 is the start of
// the step, the others are one later than in the list.
class LastUses {
 public:
  LastUses(const OpGraph& graph, const graph::IndexedGraph& index,
           const std::vector<std::size_t>& runs)
      : index_(index),
        runs_(runs),
        ended_after_(runs.size() + 1),
        last_use_(graph.values.size(), kGone),
        has_run_(graph.ops.size()) {
    for (std::size_t value = 0; value < last_use_.size(); ++value) {
      if (!index.writer(value)) last_use_[value] = 0;
    }
    for (std::size_t run = 1; run <= runs.size(); ++run) follow(run);
    for (std::size_t value = 0; value < last_use_.size(); ++value) end_life_of(value);
  }

  const std::vector<std::size_t>& ended_after(std::size_t run) const { return ended_after_[run]; }

 private:
  static constexpr std::int64_t kGone = -1;

  void follow(std::size_t run) {
    const auto op = runs_[run - 1];
    const auto& indexed = index_.ops()[op];
    for (const auto value : indexed.reads) last_use_[value] = static_cast<std::int64_t>(run);
    if (!has_run_[op]) {
      // Their storage goes to what is written: there is nothing left to drop.
      for (const auto& reuse : indexed.reuses) last_use_[reuse.read] = kGone;
    }
    has_run_[op] = true;
    for (const auto value : indexed.writes) {
      end_life_of(value);
      last_use_[value] = static_cast<std::int64_t>(run);
    }
  }

  void end_life_of(std::size_t value) {
    if (last_use_[value] == kGone) return;
    ended_after_[static_cast<std::size_t>(last_use_[value])].push_back(value);
    last_use_[value] = kGone;
  }

  const graph::IndexedGraph& index_;
  const std::vector<std::size_t>& runs_;
  std::vector<std::vector<std::size_t>> ended_after_;
  std::vector<std::int64_t> last_use_;
  std::vector<bool> has_run_;
};

}  // namespace

Plan with_drops(const OpGraph& graph, const graph::IndexedGraph& index,
                const std::vector<std::size_t>& runs) {
  const LastUses uses(graph, index, runs);
  Plan plan;
  plan.graph = graph.name;
  const auto drop_after = [&](std::size_t run) {
    for (const auto value : uses.ended_after(run)) {
      plan.actions.emplace_back(DropValue{graph.values[value].id});
    }
  };
  drop_after(0);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    plan.actions.emplace_back(RunOp{graph.ops[runs[i]].id});
    drop_after(i + 1);
  }
  return plan;
}

}  // namespace remat::plan

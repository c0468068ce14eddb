#include "plan/retention_space.h"

#include <algorithm>

#include <remat/error.h>

#include "base/check.h"
#include "base/text.h"
#include "graph/ids.h"

namespace remat::plan {
namespace {

std::vector<ValuePlace> distinct(const std::vector<std::size_t>& values) {
  std::vector<ValuePlace> result;
  result.reserve(values.size());
  for (const auto value : values) result.emplace_back(value);
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

class SpaceBuilder {
 public:
  SpaceBuilder(const OpGraph& graph, const graph::IndexedGraph& index, RetentionSpace& space)
      : graph_(graph),
        index_(index),
        space_(space),
        takers_(graph.values.size()),
        uses_(graph.values.size()) {}

  void build() {
    space_.fixed = graph_.fixed.count();
    for (const auto& value : graph_.values) space_.bytes.push_back(value.bytes.count());
    find_handed_over();
    find_replayable();
    add_ops();
    add_gaps();
  }

 private:
  void find_handed_over() {
    for (std::size_t op = 0; op < graph_.ops.size(); ++op) {
      std::vector<std::size_t> taken;
      for (const auto& reuse : index_.ops()[op].reuses) {
        takers_[ValuePlace(reuse.read)].push_back(Slot(op));
        taken.push_back(reuse.read);
      }
      space_.handed_over.add(distinct(taken));
    }
  }

  // An op may run again if all that it reads is still there or can be made again.
  void find_replayable() {
    space_.writer = ByPlace<ValuePlace, OpPlace>(graph_.values.size());
    space_.replayable = ByPlace<ValuePlace, bool>(graph_.values.size());
    for (std::size_t op = 0; op < graph_.ops.size(); ++op) {
      const auto& what = graph_.ops[op];
      bool again = what.phase == Phase::kForward && what.recompute != Recompute::kNever;
      for (const auto read : index_.ops()[op].reads) {
        const ValuePlace value(read);
        again = again && (space_.replayable[value] || takers_[value].empty());
      }
      for (const auto written : index_.ops()[op].writes) {
        const ValuePlace value(written);
        space_.writer[value] = OpPlace(op);
        space_.replayable[value] = again;
      }
    }
  }

  void add_ops() {
    std::vector<std::vector<std::size_t>> held(graph_.ops.size());
    for (std::size_t value = 0; value < graph_.values.size(); ++value) {
      const auto holder = index_.held_until(value);
      space_.ever_held.push_back(holder.has_value());
      if (holder && OpPlace(*holder) > space_.writer[ValuePlace(value)]) {
        held[*holder].push_back(value);
      }
    }
    for (std::size_t op = 0; op < graph_.ops.size(); ++op) {
      const auto& what = graph_.ops[op];
      auto touched = index_.ops()[op].reads;
      space_.reads.add(distinct(touched));
      space_.writes.add(distinct(index_.ops()[op].writes));
      touched.insert(touched.end(), held[op].begin(), held[op].end());
      const auto values = distinct(touched);
      space_.touched_first.add(values);
      for (const auto value : values) uses_[value].push_back(Slot(op));
      space_.time_of_replay.push_back(what.recompute_time.value_or(what.time).count());
      space_.workspace.push_back(what.workspace.count());
      space_.backward.push_back(what.phase == Phase::kBackward);
      space_.plain_time += what.time.count();
    }
  }

  void add_gaps() {
    for (const auto value : space_.bytes.places()) {
      space_.first_gap.push_back(GapPlace(space_.gaps.size()));
      auto begin = first_slot(space_.writer[value]);
      for (const auto use : uses_[value]) {
        add_gap({value, begin, use});
        begin = use;
      }
      add_gap({value, begin, space_.end()});
    }
  }

  void add_gap(Gap gap) {
    const auto value = gap.value;
    gap.last = gap.end == space_.end();
    const auto& takers = takers_[value];
    gap.handed_over = std::count(takers.begin(), takers.end(), gap.begin) > 0;
    const bool gone = !takers.empty() && takers.front() <= gap.begin;
    const auto holder = index_.held_until(value.index());
    const bool held = holder && gap.begin < Slot(*holder);
    gap.forced = !space_.replayable[value] || (held && !gone);
    REMAT_CHECK(space_.replayable[value] || !gone || gap.last, InvalidArgument,
                "plan: op graph {}: op {} ({}) reads value {}, whose storage op {} has taken over and "
                "which cannot be made again; list a copy, or allow what makes it to run again",
                quote(graph_.name), graph_.ops[gap.end.index()].id,
                printable(graph_.ops[gap.end.index()].name), graph_.values[value.index()].id,
                graph_.ops[takers.front().index()].id);
    space_.gaps.push_back(gap);
  }

  const OpGraph& graph_;
  const graph::IndexedGraph& index_;
  RetentionSpace& space_;
  ByPlace<ValuePlace, std::vector<Slot>> takers_;  // whose first runs take the storage
  ByPlace<ValuePlace, std::vector<Slot>> uses_;
};

}  // namespace

RetentionSpace::RetentionSpace(const OpGraph& graph, const graph::IndexedGraph& index) {
  SpaceBuilder(graph, index, *this).build();
}

}  // namespace remat::plan

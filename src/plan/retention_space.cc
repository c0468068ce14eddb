#include "plan/retention_space.h"

#include <algorithm>

#include <remat/error.h>

#include "base/check.h"
#include "base/text.h"
#include "graph/ids.h"

namespace remat::plan {
namespace {

std::size_t at(Place place) { return static_cast<std::size_t>(place); }

std::vector<Place> distinct(const std::vector<std::size_t>& places) {
  std::vector<Place> result;
  for (const auto place : places) result.push_back(static_cast<Place>(place));
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

class SpaceBuilder {
 public:
  SpaceBuilder(const OpGraph& graph, const graph::IndexedGraph& index, RetentionSpace& space)
      : graph_(graph), index_(index), space_(space), takers_(graph.values.size()) {}

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
        takers_[reuse.read].push_back(static_cast<Place>(op));
        taken.push_back(reuse.read);
      }
      space_.handed_over.add(distinct(taken));
    }
  }

  // An op may run again if all that it reads is still there or can be made again.
  void find_replayable() {
    space_.writer.assign(graph_.values.size(), -1);
    space_.replayable.assign(graph_.values.size(), false);
    for (std::size_t op = 0; op < graph_.ops.size(); ++op) {
      const auto& what = graph_.ops[op];
      bool again = what.phase == Phase::kForward && what.recompute != Recompute::kNever;
      for (const auto value : index_.ops()[op].reads) {
        again = again && (space_.replayable[value] || takers_[value].empty());
      }
      for (const auto value : index_.ops()[op].writes) {
        space_.writer[value] = static_cast<Place>(op);
        space_.replayable[value] = again;
      }
    }
  }

  void add_ops() {
    std::vector<std::vector<std::size_t>> held(graph_.ops.size());
    for (std::size_t value = 0; value < graph_.values.size(); ++value) {
      const auto holder = index_.held_until(value);
      space_.ever_held.push_back(holder.has_value());
      if (holder && static_cast<Place>(*holder) > space_.writer[value]) {
        held[*holder].push_back(value);
      }
    }
    uses_.resize(graph_.values.size());
    for (std::size_t op = 0; op < graph_.ops.size(); ++op) {
      const auto& what = graph_.ops[op];
      auto touched = index_.ops()[op].reads;
      space_.reads.add(distinct(touched));
      space_.writes.add(distinct(index_.ops()[op].writes));
      touched.insert(touched.end(), held[op].begin(), held[op].end());
      space_.touched_first.add(distinct(touched));
      for (const auto value : distinct(touched)) uses_[at(value)].push_back(static_cast<Place>(op));
      space_.time_of_replay.push_back(what.recompute_time.value_or(what.time).count());
      space_.workspace.push_back(what.workspace.count());
      space_.backward.push_back(what.phase == Phase::kBackward);
      space_.plain_time += what.time.count();
    }
  }

  void add_gaps() {
    for (Place value = 0; value < space_.values(); ++value) {
      space_.first_gap.push_back(static_cast<Place>(space_.gaps.size()));
      auto begin = space_.writer[at(value)];
      for (const auto use : uses_[at(value)]) {
        add_gap(value, begin, use);
        begin = use;
      }
      add_gap(value, begin, space_.slots());
    }
  }

  void add_gap(Place value, Place begin, Place end) {
    Gap gap{value, begin, end};
    gap.last = end == space_.slots();
    const auto& takers = takers_[at(value)];
    gap.handed_over = std::count(takers.begin(), takers.end(), begin) > 0;
    const bool gone = !takers.empty() && takers.front() <= begin;
    const auto holder = index_.held_until(at(value));
    const bool held = holder && begin < static_cast<Place>(*holder);
    gap.forced = !space_.replayable[at(value)] || (held && !gone);
    REMAT_CHECK(space_.replayable[at(value)] || !gone || gap.last, InvalidArgument,
                "plan: op graph {}: op {} ({}) reads value {}, whose storage op {} has taken over and "
                "which cannot be made again; list a copy, or allow what makes it to run again",
                quote(graph_.name), graph_.ops[at(end)].id, printable(graph_.ops[at(end)].name),
                graph_.values[at(value)].id, graph_.ops[at(takers.front())].id);
    space_.gaps.push_back(gap);
  }

  const OpGraph& graph_;
  const graph::IndexedGraph& index_;
  RetentionSpace& space_;
  std::vector<std::vector<Place>> takers_;  // the ops whose first runs take the storage
  std::vector<std::vector<Place>> uses_;
};

}  // namespace

RetentionSpace::RetentionSpace(const OpGraph& graph, const graph::IndexedGraph& index) {
  SpaceBuilder(graph, index, *this).build();
}

}  // namespace remat::plan

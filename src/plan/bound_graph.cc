#include "plan/bound_graph.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/wide_sum.h"

namespace remat::plan {
namespace {

std::size_t at(Place place) { return static_cast<std::size_t>(place); }

bool contains(std::span<const Place> sorted, Place place) {
  return std::binary_search(sorted.begin(), sorted.end(), place);
}

std::vector<Place> distinct(std::vector<Place> places) {
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

std::vector<Place> distinct(const std::vector<std::size_t>& places) {
  return distinct(std::vector<Place>(places.begin(), places.end()));
}

class BoundGraphBuilder {
 public:
  BoundGraphBuilder(const OpGraph& graph, const graph::IndexedGraph& index, BoundGraph& result)
      : graph_(graph), index_(index), result_(result) {}

  void build() {
    add_values();
    for (std::size_t op = 0; op < graph_.ops.size(); ++op) add_op(op);
    result_.must_replay.assign(graph_.ops.size(), false);
    find_what_must_replay();
  }

 private:
  void add_values() {
    const auto never = static_cast<Place>(graph_.ops.size());
    result_.fixed = graph_.fixed.count();
    for (std::size_t value = 0; value < graph_.values.size(); ++value) {
      const auto writer = index_.writer(value);
      const auto holder = index_.held_until(value);
      const auto bytes = graph_.values[value].bytes.count();
      result_.bytes.push_back(bytes);
      result_.writer.push_back(writer ? static_cast<Place>(*writer) : -1);
      result_.held_until.push_back(holder ? static_cast<Place>(*holder) : -1);
      if (!writer) result_.inputs += bytes;
    }
    result_.last_read.assign(graph_.values.size(), -1);
    result_.taken_at.assign(graph_.values.size(), never);
  }

  void add_op(std::size_t op) {
    const auto& what = graph_.ops[op];
    const auto& indexed = index_.ops()[op];
    const auto moment = static_cast<Place>(op);
    result_.plain_time += what.time.count();
    result_.replay_time.push_back(what.recompute_time.value_or(what.time).count());
    result_.workspace.push_back(what.workspace.count());
    result_.reads.add(distinct(indexed.reads));
    result_.writes.add(distinct(indexed.writes));
    for (const auto value : indexed.reads) result_.last_read[value] = moment;
    std::vector<Place> taken;
    for (const auto& reuse : indexed.reuses) {
      taken.push_back(static_cast<Place>(reuse.read));
      auto& taken_at = result_.taken_at[reuse.read];
      taken_at = std::min(taken_at, moment);
    }
    result_.handed_over.add(distinct(std::move(taken)));
    // The storage of what it reads may be handed over later: known only when all ops were seen.
    const bool again = what.phase == Phase::kForward && what.recompute != Recompute::kNever;
    result_.lost_from.push_back(again ? static_cast<Place>(graph_.ops.size()) : -1);
  }

  Place lost_from(Place value) const {
    const auto writer = result_.writer[at(value)];
    return writer < 0 ? -1 : result_.lost_from[at(writer)];
  }

  void find_what_is_lost() {
    for (Place op = 0; op < result_.moments(); ++op) {
      for (const auto value : result_.reads[op]) {
        const auto taken = result_.taken_at[at(value)];
        if (lost_from(value) > taken) continue;  // may be made again in time, and kept
        result_.lost_from[at(op)] = std::min(result_.lost_from[at(op)], taken);
      }
    }
  }

  // What first runs read after its storage was handed over has been made again by then, from what is left
  // at that moment, and so on.
  void find_what_must_replay() {
    find_what_is_lost();
    std::vector<Place> replayed_after(graph_.ops.size(), -1);
    std::vector<std::pair<Place, Place>> open;  // op, moment
    const auto require = [&](Place value) {
      const auto moment = result_.taken_at[at(value)];
      if (lost_from(value) <= moment) {
        result_.possible = false;
      } else {
        open.emplace_back(result_.writer[at(value)], moment);
      }
    };
    for (Place value = 0; value < result_.values(); ++value) {
      if (result_.last_read[at(value)] > result_.taken_at[at(value)]) require(value);
    }
    while (!open.empty()) {
      const auto [op, moment] = open.back();
      open.pop_back();
      if (replayed_after[at(op)] >= moment) continue;
      replayed_after[at(op)] = moment;
      for (const auto value : result_.reads[op]) {
        if (result_.taken_at[at(value)] <= moment) require(value);
      }
    }
    sum_up(replayed_after);
  }

  void sum_up(const std::vector<Place>& replayed_after) {
    WideSum time = 0;
    for (std::size_t op = 0; op < replayed_after.size(); ++op) {
      if (replayed_after[op] < 0) continue;
      result_.must_replay[op] = true;
      time += result_.replay_time[op];
    }
    result_.must_replay_time =
        fits(time) ? static_cast<std::int64_t>(time) : std::numeric_limits<std::int64_t>::max();
  }

  const OpGraph& graph_;
  const graph::IndexedGraph& index_;
  BoundGraph& result_;
};

/// Moments from `first` to `last`; none if first > last.
struct Span {
  Place first = 0;
  Place last = -1;
};

// Adds bytes to spans of moments; together they count each moment once.
class SpanSums {
 public:
  explicit SpanSums(Place moments) : steps_(at(moments) + 1) {}

  void add(std::vector<Span> spans, std::int64_t bytes) {
    std::sort(spans.begin(), spans.end(), [](Span a, Span b) { return a.first < b.first; });
    Place done = -1;
    for (auto span : spans) {
      span.first = std::max(span.first, done + 1);
      if (span.first > span.last) continue;
      steps_[at(span.first)] += bytes;
      steps_[at(span.last) + 1] -= bytes;
      done = span.last;
    }
  }

  std::vector<std::int64_t> sums() const {
    std::vector<std::int64_t> result;
    std::int64_t sum = 0;
    for (std::size_t i = 0; i + 1 < steps_.size(); ++i) result.push_back(sum += steps_[i]);
    return result;
  }

 private:
  std::vector<std::int64_t> steps_;
};

class MomentSums {
 public:
  explicit MomentSums(const BoundGraph& graph)
      : graph_(graph),
        touched_(graph.bytes.size()),
        forced_(graph.moments()),
        plain_(graph.moments()),
        all_replayed_(graph.moments()) {
    for (Place op = 0; op < graph.moments(); ++op) {
      for (const auto value : graph.writes[op]) touched_[at(value)].push_back({op, op});
      for (const auto value : graph.reads[op]) {
        if (!contains(graph.handed_over[op], value)) touched_[at(value)].push_back({op, op});
      }
    }
    find_last_replays();
    for (Place value = 0; value < graph.values(); ++value) add(value);
  }

  MomentBytes sums() const {
    MomentBytes result{forced_.sums(), plain_.sums(), all_replayed_.sums()};
    for (std::size_t op = 0; op < graph_.workspace.size(); ++op) {
      for (auto* bytes : {&result.forced, &result.plain, &result.all_replayed}) {
        (*bytes)[op] += graph_.workspace[op];
      }
    }
    return result;
  }

 private:
  // Until when a value can be needed: by first runs, or by replays of ops whose values are needed.
  void find_last_replays() {
    last_replay_ = graph_.last_read;
    for (auto op = graph_.moments() - 1; op >= 0; --op) {
      if (graph_.lost_from[at(op)] < 0) continue;
      Place last = -1;
      for (const auto value : graph_.writes[op]) last = std::max(last, last_replay_[at(value)]);
      for (const auto value : graph_.reads[op]) {
        last_replay_[at(value)] = std::max(last_replay_[at(value)], last);
      }
    }
  }

  void add(Place value) {
    const auto bytes = graph_.bytes[at(value)];
    const auto writer = graph_.writer[at(value)];
    const auto made = std::max<Place>(writer, 0);
    const auto lost = writer < 0 ? made : std::max(made, graph_.lost_from[at(writer)]);
    const auto gone = graph_.taken_at[at(value)];
    const auto last = graph_.last_read[at(value)] - 1;
    auto spans = touched_[at(value)];
    spans.push_back({made, std::min(graph_.held_until[at(value)], gone - 1)});
    spans.push_back({lost, last});
    forced_.add(spans, bytes);
    spans.push_back({lost, last_replay_[at(value)] - 1});
    all_replayed_.add(spans, bytes);
    spans.back() = {made, std::min(last, gone - 1)};
    plain_.add(spans, bytes);
  }

  const BoundGraph& graph_;
  std::vector<std::vector<Span>> touched_;
  std::vector<Place> last_replay_;  // of values: the last moment at which it may be read
  SpanSums forced_;
  SpanSums plain_;
  SpanSums all_replayed_;
};

}  // namespace

BoundGraph::BoundGraph(const OpGraph& graph, const graph::IndexedGraph& index) {
  BoundGraphBuilder(graph, index, *this).build();
}

bool BoundGraph::needed_after(ValueAt what) const {
  const auto [value, moment] = what;
  return writer[at(value)] <= moment && last_read[at(value)] > moment;
}

bool BoundGraph::final_at(ValueAt what) const {
  const auto op = writer[at(what.value)];
  return op < 0 || lost_from[at(op)] <= what.moment;
}

bool BoundGraph::forced(ValueAt what) const {
  const auto [value, moment] = what;
  if (writer[at(value)] > moment) return false;
  if (writer[at(value)] == moment) return true;
  if (contains(reads[moment], value) && !contains(handed_over[moment], value)) return true;
  if (held_until[at(value)] >= moment && taken_at[at(value)] > moment) return true;
  return needed_after(what) && final_at(what);
}

MomentBytes moment_bytes(const BoundGraph& graph) { return MomentSums(graph).sums(); }

}  // namespace remat::plan

#include "plan/replay_problem.h"

#include <algorithm>

namespace remat::plan {
namespace {

std::size_t at(Place place) { return static_cast<std::size_t>(place); }

class ProblemBuilder {
 public:
  ProblemBuilder(const BoundGraph& graph, Place moment)
      : graph_(graph), moment_(moment), place_of_value_(graph.bytes.size(), kUnseen) {
    for (const auto value : graph.handed_over[moment]) place_of_value_[at(value)] = kGone;
  }

  ReplayProblem build(std::int64_t budget) {
    problem_.forced = graph_.fixed + graph_.workspace[at(moment_)];
    for (Place value = 0; value < graph_.values(); ++value) {
      if (!graph_.forced({value, moment_})) continue;
      problem_.forced += graph_.bytes[at(value)];
      place_of_value_[at(value)] = kForced;
    }
    problem_.room = budget - problem_.forced;
    place_of_op_.assign(at(graph_.moments()), kUnseen);
    for (Place value = 0; value < graph_.values(); ++value) {
      if (graph_.needed_after({value, moment_})) {
        const auto place = place_of(value);
        if (place >= 0) problem_.values[at(place)].needed = true;
      }
    }
    while (!open_.empty()) list_reads_of_next();
    return std::move(problem_);
  }

 private:
  static constexpr Place kUnseen = -1;
  static constexpr Place kForced = -2;
  static constexpr Place kGone = -3;

  // kForced if there is nothing to decide.
  Place place_of(Place value) {
    auto& place = place_of_value_[at(value)];
    if (place >= 0 || place == kForced) return place;
    const bool gone = place == kGone;
    place = static_cast<Place>(problem_.values.size());
    problem_.values.push_back({graph_.bytes[at(value)], -1, false, gone});
    const auto op = graph_.final_at({value, moment_}) ? -1 : place_of_op(graph_.writer[at(value)]);
    problem_.values.back().op = op;
    return place;
  }

  Place place_of_op(Place op) {
    auto& place = place_of_op_[at(op)];
    if (place >= 0) return place;
    place = static_cast<Place>(problem_.ops.size());
    problem_.ops.push_back({op, graph_.must_replay[at(op)] ? 0 : graph_.replay_time[at(op)], {}});
    open_.push_back(op);
    return place;
  }

  void list_reads_of_next() {
    const auto op = open_.back();
    open_.pop_back();
    std::vector<Place> reads;
    for (const auto value : graph_.reads[op]) {
      const auto place = place_of(value);
      if (place >= 0) reads.push_back(place);
    }
    problem_.ops[at(place_of_op_[at(op)])].reads = std::move(reads);
  }

  const BoundGraph& graph_;
  const Place moment_;
  std::vector<Place> place_of_value_;
  std::vector<Place> place_of_op_;
  std::vector<Place> open_;
  ReplayProblem problem_;
};

}  // namespace

ReplayProblem replay_problem(const BoundGraph& graph, MomentBudget what) {
  return ProblemBuilder(graph, what.moment).build(what.budget);
}

}  // namespace remat::plan

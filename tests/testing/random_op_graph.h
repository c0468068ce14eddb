// Small op graphs and plans for them, of all that the formats allow.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <remat/graph.h>

#include "tests/testing/choices.h"

namespace remat::testing {

struct GraphLimits {
  std::int64_t ops = 12;
  std::int64_t size = 100;  ///< largest bytes and nanoseconds of one value or op
};

/// Ids are not in order and not dense.
class RandomOpGraph {
 public:
  RandomOpGraph(Choices& choices, GraphLimits limits) : choices_(choices), limits_(limits) {}

  OpGraph make() {
    graph_.name = "random";
    graph_.device = "none";
    graph_.fixed = size();
    const auto inputs = choices_.between(0, 3);
    for (std::int64_t i = 0; i < inputs; ++i) readable_.push_back(add_value());
    const auto ops = choices_.between(1, limits_.ops);
    const auto forward = choices_.between(0, ops);
    for (std::int64_t i = 0; i < ops; ++i) {
      add_op(i < forward ? Phase::kForward : Phase::kBackward);
    }
    hold_values();
    std::reverse(graph_.values.begin(), graph_.values.end());
    return std::move(graph_);
  }

 private:
  Bytes size() { return Bytes(choices_.between(0, limits_.size)); }
  std::chrono::nanoseconds time() {
    return std::chrono::nanoseconds(choices_.between(0, limits_.size));
  }

  ValueId add_value() {
    const auto number = static_cast<std::int64_t>(graph_.values.size());
    const ValueId id{(number * 37) % 101 + 1000 * (number / 101)};
    graph_.values.push_back({id, size(), {}});
    return id;
  }

  void add_op(Phase phase) {
    GraphOp op;
    const auto number = static_cast<std::int64_t>(graph_.ops.size());
    op.id = OpId{(number * 29) % 53 + 1000 * (number / 53)};
    op.name = "op" + std::to_string(number);
    op.phase = phase;
    op.time = time();
    if (choices_.one_in(3)) op.recompute_time = time();
    if (choices_.one_in(2)) op.workspace = size();
    op.recompute = static_cast<Recompute>(choices_.below(6) % 3);
    read_values(op);
    write_values(op);
    graph_.ops.push_back(op);
  }

  // Mostly recent ones; now and then one of them twice.
  void read_values(GraphOp& op) {
    if (readable_.empty()) return;
    const auto count = static_cast<std::int64_t>(readable_.size());
    for (auto left = choices_.between(0, 3); left > 0; --left) {
      const auto back =
          choices_.below(choices_.one_in(3) ? count : std::min<std::int64_t>(count, 3));
      op.reads.push_back(readable_[static_cast<std::size_t>(count - 1 - back)]);
    }
  }

  void write_values(GraphOp& op) {
    const std::set<ValueId> reads(op.reads.begin(), op.reads.end());
    auto reusable = reads.begin();
    for (auto left = choices_.between(0, 2); left > 0; --left) {
      op.writes.push_back(add_value());
      readable_.push_back(op.writes.back());
      if (reusable != reads.end() && choices_.one_in(3)) {
        op.reuses.push_back({*reusable++, op.writes.back()});
      }
    }
  }

  void hold_values() {
    for (auto& value : graph_.values) {
      if (!choices_.one_in(6)) continue;
      const auto op = choices_.below(static_cast<std::int64_t>(graph_.ops.size()));
      value.held_until = graph_.ops[static_cast<std::size_t>(op)].id;
    }
  }

  Choices& choices_;
  GraphLimits limits_;
  OpGraph graph_;
  std::vector<ValueId> readable_;
};

/// A plan that is often valid: values are dropped at random and made again, over as many ops as that
/// takes, before something reads them.
class RandomPlan {
 public:
  RandomPlan(const OpGraph& graph, Choices& choices) : graph_(graph), choices_(choices) {
    for (std::size_t op = 0; op < graph.ops.size(); ++op) {
      for (const auto value : graph.ops[op].writes) writers_.emplace_back(value, op);
    }
    for (const auto& value : graph.values) {
      if (!writer(value.id)) resident_.insert(value.id);
    }
  }

  Plan make() {
    plan_.graph = graph_.name;
    for (next_ = 0; next_ < graph_.ops.size(); ++next_) {
      run(next_, /*first=*/true);
      const std::set<ValueId> candidates = resident_;
      for (const auto value : candidates) {
        if (choices_.one_in(may_be_lost(value) ? 3 : 60)) drop(value);
      }
    }
    return std::move(plan_);
  }

 private:
  const std::size_t* writer(ValueId value) const {
    const auto is_it = [value](const auto& entry) { return entry.first == value; };
    const auto found = std::find_if(writers_.begin(), writers_.end(), is_it);
    return found == writers_.end() ? nullptr : &found->second;
  }

  bool may_run_again(std::size_t op) const {
    return graph_.ops[op].phase == Phase::kForward && graph_.ops[op].recompute != Recompute::kNever;
  }

  // Nothing reads it any more, or it can be made again.
  bool may_be_lost(ValueId value) const {
    const auto reads_it = [value](const GraphOp& op) {
      return std::count(op.reads.begin(), op.reads.end(), value) > 0;
    };
    const auto rest = graph_.ops.begin() + static_cast<std::ptrdiff_t>(next_) + 1;
    if (std::none_of(rest, graph_.ops.end(), reads_it)) return true;
    return writer(value) != nullptr && may_run_again(*writer(value));
  }

  void run(std::size_t op, bool first) {
    for (const auto value : graph_.ops[op].reads) {
      if (resident_.count(value) == 0 && writer(value) && may_run_again(*writer(value))) {
        run(*writer(value), /*first=*/false);
      }
    }
    plan_.actions.emplace_back(RunOp{graph_.ops[op].id});
    if (first) {
      for (const auto& reuse : graph_.ops[op].reuses) resident_.erase(reuse.read);
    }
    resident_.insert(graph_.ops[op].writes.begin(), graph_.ops[op].writes.end());
  }

  void drop(ValueId value) {
    plan_.actions.emplace_back(DropValue{value});
    resident_.erase(value);
  }

  const OpGraph& graph_;
  Choices& choices_;
  std::vector<std::pair<ValueId, std::size_t>> writers_;
  std::set<ValueId> resident_;
  std::size_t next_ = 0;
  Plan plan_;
};

inline OpGraph random_op_graph(Choices& choices, GraphLimits limits = {}) {
  return RandomOpGraph(choices, limits).make();
}

inline Plan random_plan(const OpGraph& graph, Choices& choices) {
  return RandomPlan(graph, choices).make();
}

/// An action on what the graph has, seldom on what it has not.
inline PlanAction random_action(const OpGraph& graph, Choices& choices) {
  const auto stranger = std::int64_t{99'999};
  if (choices.one_in(2)) {
    const auto op = choices.below(static_cast<std::int64_t>(graph.ops.size()));
    return RunOp{choices.one_in(12) ? OpId{stranger} : graph.ops[static_cast<std::size_t>(op)].id};
  }
  const auto values = static_cast<std::int64_t>(graph.values.size());
  if (values == 0 || choices.one_in(12)) return DropValue{ValueId{stranger}};
  return DropValue{graph.values[static_cast<std::size_t>(choices.below(values))].id};
}

/// Takes out, repeats, exchanges or adds an action.
template <class Actions, class RandomAction>
void change_one(Actions& actions, Choices& choices, RandomAction random_action) {
  const auto place = choices.below(static_cast<std::int64_t>(actions.size()) + 1);
  const auto at = actions.begin() + static_cast<std::ptrdiff_t>(place);
  const auto kind = at == actions.end() ? 0 : choices.below(4);
  if (kind == 0) {
    actions.insert(at, random_action());
  } else if (kind == 1) {
    actions.erase(at);
  } else if (kind == 2) {
    actions.insert(at, typename Actions::value_type(*at));
  } else {
    std::iter_swap(at, actions.begin() + static_cast<std::ptrdiff_t>(choices.below(place + 1)));
  }
}

}  // namespace remat::testing

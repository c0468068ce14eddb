#include "tests/plan/exact_plan.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <unordered_map>
#include <vector>

#include "graph/indexed_graph.h"

namespace remat::testing {
namespace {

using Mask = std::uint64_t;

Mask bit(std::size_t value) { return Mask{1} << value; }

// Which ops have run and what is resident. First runs come in the graph's order: their number will do.
// A drop of a value that is held is no drop until it takes effect.
struct State {
  std::size_t ran = 0;
  Mask resident = 0;
  friend bool operator==(State a, State b) { return a.ran == b.ran && a.resident == b.resident; }
};
struct HashOfState {
  std::size_t operator()(State state) const {
    return std::hash<Mask>()((state.resident + state.ran * 0x9e3779b97f4a7c15ULL) *
                             0xff51afd7ed558ccdULL);
  }
};

enum class Least { kTime, kPeak };

// Dijkstra 1959, over all states. The length of a way is its time or its peak.
class AllPlans {
 public:
  AllPlans(const OpGraph& graph, Least least, std::int64_t budget)
      : graph_(graph), index_(graph, "exact plan"), least_(least), budget_(budget) {
    for (std::size_t op = 0; op < graph.ops.size(); ++op) {
      ops_.push_back({mask(index_.ops()[op].reads), mask(index_.ops()[op].writes), 0});
      for (const auto& reuse : index_.ops()[op].reuses) ops_.back().taken |= bit(reuse.read);
    }
    for (std::size_t value = 0; value < graph.values.size(); ++value) {
      if (!index_.writer(value)) inputs_ |= bit(value);
    }
  }

  ExactAnswer search(std::size_t most_states) {
    const auto start = bytes_of(inputs_);
    if (start > budget_) return {true, {}};
    reach({0, without_useless({0, inputs_})}, least_ == Least::kPeak ? start : 0);
    while (!open_.empty()) {
      const auto [length, ran, resident] = open_.top();
      const State state{ran, resident};
      open_.pop();
      if (length > lengths_.at(state)) continue;
      if (state.ran == ops_.size()) return {true, length};
      if (lengths_.size() > most_states) return {};
      visit(state, length);
    }
    return {true, {}};
  }

 private:
  struct Op {
    Mask reads = 0;
    Mask writes = 0;
    Mask taken = 0;
  };
  struct Entry {
    std::int64_t length = 0;
    std::size_t ran = 0;
    Mask resident = 0;
    friend bool operator>(const Entry& a, const Entry& b) { return a.length > b.length; }
  };

  static Mask mask(const std::vector<std::size_t>& values) {
    Mask result = 0;
    for (const auto value : values) result |= bit(value);
    return result;
  }

  std::int64_t bytes_of(Mask values) const {
    auto sum = graph_.fixed.count();
    for (std::size_t value = 0; value < graph_.values.size(); ++value) {
      if (values & bit(value)) sum += graph_.values[value].bytes.count();
    }
    return sum;
  }

  bool may_replay(std::size_t op) const {
    return graph_.ops[op].phase == Phase::kForward && graph_.ops[op].recompute != Recompute::kNever;
  }

  bool may_drop(std::size_t value, std::size_t ran) const {
    const auto holder = index_.held_until(value);
    return !holder || *holder < ran;
  }

  // Lets go of what nothing can read any more.
  Mask without_useless(State state) const {
    Mask useful = 0;
    for (std::size_t op = 0; op < ops_.size(); ++op) {
      if (op >= state.ran || may_replay(op)) useful |= ops_[op].reads;
    }
    for (std::size_t value = 0; value < graph_.values.size(); ++value) {
      if (!may_drop(value, state.ran)) useful |= bit(value);
    }
    return state.resident & useful;
  }

  void reach(State state, std::int64_t length) {
    const auto [entry, is_new] = lengths_.try_emplace(state, length);
    if (!is_new && entry->second <= length) return;
    entry->second = length;
    open_.push({length, state.ran, state.resident});
  }

  void visit(State state, std::int64_t length) {
    for (std::size_t value = 0; value < graph_.values.size(); ++value) {
      if ((state.resident & bit(value)) && may_drop(value, state.ran)) {
        reach({state.ran, state.resident & ~bit(value)}, length);
      }
    }
    for (std::size_t op = 0; op <= state.ran && op < ops_.size(); ++op) {
      if (op == state.ran || may_replay(op)) run(state, op, length);
    }
  }

  void run(State state, std::size_t op, std::int64_t length) {
    const auto& what = ops_[op];
    if ((state.resident & what.reads) != what.reads) return;
    const bool first = op == state.ran;
    const auto second_copies = bytes_of(state.resident & what.writes) - graph_.fixed.count();
    const auto resident = ((first ? state.resident & ~what.taken : state.resident)) | what.writes;
    const auto peak = bytes_of(resident) + second_copies + graph_.ops[op].workspace.count();
    if (peak > budget_) return;
    const auto& costs = graph_.ops[op];
    const auto time = first ? costs.time : costs.recompute_time.value_or(costs.time);
    const State next{state.ran + (first ? 1 : 0), resident};
    reach({next.ran, without_useless(next)},
          least_ == Least::kTime ? length + time.count() : std::max(length, peak));
  }

  const OpGraph& graph_;
  const graph::IndexedGraph index_;
  const Least least_;
  const std::int64_t budget_;
  std::vector<Op> ops_;
  Mask inputs_ = 0;
  std::unordered_map<State, std::int64_t, HashOfState> lengths_;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> open_;
};

}  // namespace

ExactAnswer least_time(const OpGraph& graph, Bytes budget, std::size_t most_states) {
  return AllPlans(graph, Least::kTime, budget.count()).search(most_states);
}

ExactAnswer least_peak(const OpGraph& graph, std::size_t most_states) {
  const auto no_limit = std::numeric_limits<std::int64_t>::max();
  return AllPlans(graph, Least::kPeak, no_limit).search(most_states);
}

}  // namespace remat::testing

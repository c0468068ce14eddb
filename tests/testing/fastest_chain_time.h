// The fastest plan of any kind for a small chain, by looking at every state that memory can be in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <queue>
#include <utility>
#include <vector>

#include <remat/graph.h>

namespace remat::testing {

/// Dijkstra's search over what is resident, by the rules of docs/formats.md, written apart from the
/// simulator.
class FastestChainTime {
 public:
  explicit FastestChainTime(const Chain& chain) : chain_(chain), count_(chain.stages.size()) {}

  /// In ns; -1 if no plan fits.
  std::int64_t within(std::int64_t memory) {
    memory_ = memory;
    best_.clear();
    queue_ = {};
    reach({1, std::vector<int>(count_, -1), count_}, 0);
    while (!queue_.empty()) {
      const auto [time, state] = queue_.top();
      queue_.pop();
      if (state.left == 0) return time;
      if (time > best_.at(state)) continue;
      for (std::size_t i = 0; i < state.left; ++i) run(state, i, time);
      backward(state, time);
    }
    return -1;
  }

 private:
  struct State {
    unsigned alone = 0;  // bit i: activation i, outside what is saved
    std::vector<int> saved;
    std::size_t left = 0;  // backwards still to come

    bool operator<(const State& b) const {
      if (alone != b.alone) return alone < b.alone;
      if (left != b.left) return left < b.left;
      return saved < b.saved;
    }
    bool has_alone(std::size_t i) const { return (alone >> i & 1U) != 0; }
    bool has(std::size_t i) const { return has_alone(i) || (i > 0 && saved[i - 1] >= 0); }
  };

  std::int64_t activation(std::size_t i) const {
    return (i == 0 ? chain_.input : chain_.stages[i - 1].output).count();
  }
  std::int64_t gradient(std::size_t i) const {
    if (i == 0) return chain_.input_gradient.count();
    return chain_.stages[i - 1].output_gradient.value_or(chain_.stages[i - 1].output).count();
  }
  const StageOption& option(const State& state, std::size_t i) const {
    return chain_.stages[i].options[static_cast<std::size_t>(state.saved[i])];
  }

  std::int64_t live(const State& state) const {
    auto bytes = chain_.fixed.count();
    for (std::size_t i = 0; i <= count_; ++i) bytes += state.has_alone(i) ? activation(i) : 0;
    for (std::size_t i = 0; i < count_; ++i) {
      if (state.saved[i] >= 0) bytes += option(state, i).saved.count();
    }
    return state.left < count_ ? bytes + gradient(state.left) : bytes;
  }

  void reach(const State& state, std::int64_t time) {
    const auto [known, is_new] = best_.emplace(state, time);
    if (!is_new && known->second <= time) return;
    known->second = time;
    queue_.emplace(time, state);
  }

  void run(const State& state, std::size_t i, std::int64_t time) {
    if (!state.has(i)) return;
    const auto& stage = chain_.stages[i];
    const auto now = live(state);
    const auto added = state.has(i + 1) ? 0 : activation(i + 1);
    if (now + added + stage.forward_workspace.count() <= memory_) {
      auto next = state;
      if (added > 0 || !state.has(i + 1)) next.alone |= 1U << (i + 1);
      reach(next, time + stage.forward_time.count());
      if (i > 0) {
        next.alone &= ~(1U << i);
        reach(next, time + stage.forward_time.count());
      }
    }
    if (state.saved[i] >= 0) return;
    for (std::size_t k = 0; k < stage.options.size(); ++k) {
      const auto& kept = stage.options[k];
      if (now + (kept.saved + kept.forward_workspace).count() > memory_) continue;
      auto next = state;
      next.saved[i] = static_cast<int>(k);
      next.alone &= ~(1U << (i + 1));
      reach(next, time + kept.forward_time.count());
    }
  }

  void backward(const State& state, std::int64_t time) {
    const auto i = state.left - 1;
    if (state.saved[i] < 0 || !state.has(i)) return;
    const auto& kept = option(state, i);
    const auto made = state.left == count_ ? gradient(count_) : 0;
    if (live(state) + made + gradient(i) + kept.backward_workspace.count() > memory_) return;
    auto next = state;
    next.left = i;
    next.saved[i] = -1;
    next.alone &= ~(1U << i);
    reach(next, time + kept.backward_time.count());
  }

  using Entry = std::pair<std::int64_t, State>;
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const { return a.first > b.first; }
  };

  const Chain& chain_;
  std::size_t count_;
  std::int64_t memory_ = 0;
  std::map<State, std::int64_t> best_;
  std::priority_queue<Entry, std::vector<Entry>, Later> queue_;
};

}  // namespace remat::testing

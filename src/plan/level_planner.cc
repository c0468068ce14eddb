// H-Revolve: equal steps, slots on several levels. The letters are the paper's.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <remat/chain_planner.h>

#include "base/check.h"
#include "base/wide_sum.h"

namespace remat {
namespace plan {
namespace {

constexpr std::int64_t kMostEntries = 100'000'000;

void check_levels(std::int64_t steps, const StepTimes& times,
                  const std::vector<StorageLevel>& levels) {
  REMAT_CHECK(steps >= 1, InvalidArgument, "plan_levels: expected at least 1 step, got {}", steps);
  REMAT_CHECK(!levels.empty() && levels.front().slots >= 1, InvalidArgument,
              "plan_levels: the first level needs at least 1 slot, to keep the input of step 0; got {}",
              levels.empty() ? 0 : levels.front().slots);
  REMAT_CHECK(times.forward.count() >= 0 && times.reverse.count() >= 0, InvalidArgument,
              "plan_levels: expected times of 0 or more, got forward {} ns and reverse {} ns",
              times.forward.count(), times.reverse.count());
  // No plan of this kind runs a step, or moves a state, more than `steps` times.
  WideSum longest = WideSum{times.forward.count()} + times.reverse.count();
  WideSum entries = 0;
  for (std::size_t k = 0; k < levels.size(); ++k) {
    const auto& level = levels[k];
    REMAT_CHECK(level.slots >= 0 && level.write.count() >= 0 && level.read.count() >= 0, InvalidArgument,
                "plan_levels: level {}: expected numbers of 0 or more, got {} slots, write {} ns, read {} ns",
                k, level.slots, level.write.count(), level.read.count());
    longest += WideSum{level.write.count()} + level.read.count();
    entries += WideSum{steps} * (std::min(level.slots, steps) + 1);
  }
  REMAT_CHECK(entries <= kMostEntries, InvalidArgument,
              "plan_levels: levels, steps and slots make {} table entries, expected at most {}: join "
              "steps, or give fewer slots",
              static_cast<double>(entries), kMostEntries);
  REMAT_CHECK(fits(longest * steps * steps), InvalidArgument,
              "plan_levels: expected times that add up to less than 2^63 ns over {} steps", steps);
}

// Least times to reverse a number of steps from a state at hand.
class LevelTimes {
 public:
  LevelTimes(std::int64_t steps, const StepTimes& times, std::vector<StorageLevel> levels)
      : steps_(steps), times_(times), levels_(std::move(levels)) {
    for (auto& level : levels_) level.slots = std::min(level.slots, steps);
    for (std::size_t k = 0; k < levels_.size(); ++k) {
      fresh_.emplace_back(static_cast<std::size_t>(steps * (levels_[k].slots + 1)), kNone);
      stored_.push_back(fresh_.back());
      for (std::int64_t slots = 0; slots <= levels_[k].slots; ++slots) {
        for (std::int64_t n = 1; n <= steps; ++n) solve({k, slots}, n);
      }
    }
  }

  struct Place {
    std::size_t level = 0;
    std::int64_t slots = 0;  ///< free ones on this level, that of a stored state included
  };

  const StorageLevel& level(std::size_t k) const { return levels_[k]; }
  Place all_below(Place at) const { return {at.level - 1, levels_[at.level - 1].slots}; }
  Place top() const { return {levels_.size() - 1, levels_.back().slots}; }

  /// opt and optp of the paper: where the state is not kept, and where this level keeps it.
  std::int64_t fresh(Place at, std::int64_t n) const { return fresh_[at.level][entry(at, n)]; }
  std::int64_t stored(Place at, std::int64_t n) const { return stored_[at.level][entry(at, n)]; }

  struct Split {
    std::int64_t n = 0;
    std::int64_t j = 0;
  };
  /// To reverse n steps: keep the state here, run j steps on, reverse from there, read it, reverse the j steps.
  std::int64_t time_of(Split split, Place at) const {
    const auto [n, j] = split;
    const Place less = {at.level, at.slots - 1};
    const auto rest = n - j == 1 ? times_.reverse.count() : fresh(less, n - j);
    if (rest == kNone) return kNone;
    return j * times_.forward.count() + rest + levels_[at.level].read.count() + stored(at, j);
  }

  /// The best j; 0 where cheaper levels alone do as well.
  std::int64_t best_split(Place at, std::int64_t n) const {
    auto best = at.level > 0 ? fresh(all_below(at), n) : kNone;
    std::int64_t best_j = 0;
    for (std::int64_t j = 1; j < n; ++j) {
      const auto time = time_of({n, j}, at);
      if (time >= best) continue;
      best = time;
      best_j = j;
    }
    return best_j;
  }

  std::int64_t write_and_stored(Place at, std::int64_t n) const {
    return levels_[at.level].write.count() + stored(at, n);
  }

  static constexpr auto kNone = std::numeric_limits<std::int64_t>::max();

 private:
  std::size_t entry(Place at, std::int64_t n) const {
    return static_cast<std::size_t>(at.slots * steps_ + n - 1);
  }

  void solve(Place at, std::int64_t n) {
    auto& fresh_time = fresh_[at.level][entry(at, n)];
    auto& stored_time = stored_[at.level][entry(at, n)];
    if (n == 1) {
      fresh_time = stored_time = times_.reverse.count();
      return;
    }
    const auto below = at.level > 0 ? fresh(all_below(at), n) : kNone;
    fresh_time = below;
    if (at.slots == 0) return;
    const auto j = best_split(at, n);
    stored_time = j == 0 ? below : time_of({n, j}, at);
    if (stored_time != kNone) fresh_time = std::min(below, write_and_stored(at, n));
  }

  std::int64_t steps_;
  StepTimes times_;
  std::vector<StorageLevel> levels_;
  std::vector<std::vector<std::int64_t>> fresh_;
  std::vector<std::vector<std::int64_t>> stored_;
};

// Decides again what the tables hold.
class LevelSchedule {
 public:
  explicit LevelSchedule(const LevelTimes& times) : times_(times) {}

  using Place = LevelTimes::Place;

  std::vector<LevelAction> actions(std::int64_t steps) {
    reverse_fresh({0, steps}, times_.top());
    return std::move(actions_);
  }

 private:
  // `n` steps from `first` on.
  struct Steps {
    std::int64_t first = 0;
    std::int64_t n = 0;
  };

  void reverse_fresh(Steps steps, Place at) {
    const auto [first, n] = steps;
    while (at.level > 0 &&
           (at.slots == 0 || times_.fresh(at, n) == times_.fresh(times_.all_below(at), n))) {
      at = times_.all_below(at);
    }
    if (n == 1) {
      actions_.emplace_back(ReverseStep{first});
      return;
    }
    actions_.emplace_back(WriteState{first, level_of(at)});
    reverse_stored(steps, at);
  }

  void reverse_stored(Steps steps, Place at) {
    auto [first, n] = steps;
    while (n > 1) {
      const auto j = times_.best_split(at, n);
      if (j == 0) {
        actions_.emplace_back(FreeState{first, level_of(at)});
        reverse_fresh({first, n}, times_.all_below(at));
        return;
      }
      actions_.emplace_back(AdvanceSteps{first, first + j});
      reverse_fresh({first + j, n - j}, {at.level, at.slots - 1});
      actions_.emplace_back(ReadState{first, level_of(at), j == 1});
      n = j;
    }
    actions_.emplace_back(ReverseStep{first});
  }

  static std::int64_t level_of(Place at) { return static_cast<std::int64_t>(at.level); }

  const LevelTimes& times_;
  std::vector<LevelAction> actions_;
};

}  // namespace
}  // namespace plan

LevelPlan plan_levels(std::int64_t steps, const StepTimes& times,
                      const std::vector<StorageLevel>& levels) {
  plan::check_levels(steps, times, levels);
  const plan::LevelTimes table(steps, times, levels);
  LevelPlan plan;
  plan.time = std::chrono::nanoseconds(table.fresh(table.top(), steps));
  plan.actions = plan::LevelSchedule(table).actions(steps);
  return plan;
}

}  // namespace remat

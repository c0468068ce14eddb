#include "plan/sweep_search.h"

#include <algorithm>
#include <cstddef>
#include <variant>

#include "base/check.h"
#include "plan/search_random.h"
#include "plan/sweep_plan.h"

namespace remat::plan {
namespace {

// Each begins from the best plan so far, with the whole range of bounds.
constexpr std::int64_t kRounds = 4;

// As the ways of the sweeps that they are.
class WaysOf {
 public:
  WaysOf(SweepWays& ways, std::size_t stages) : ways_(ways), target_(stages - 1) {}

  void operator()(CheckpointStage action) { way_of(action.stage) = kCheckpoint; }
  void operator()(PassStage action) { way_of(action.stage) = kPass; }
  void operator()(SaveStage action) { way_of(action.stage) = static_cast<Way>(action.option); }
  void operator()(BackwardStage) { --target_; }

 private:
  Way& way_of(std::int64_t stage) {
    return ways_.of(
        {static_cast<std::uint16_t>(target_), static_cast<std::uint16_t>(stage), false});
  }

  SweepWays& ways_;
  std::size_t target_;  // the stage whose backward is next
};

class SweepSearch {
 public:
  SweepSearch(const ChainModel& model, const std::vector<ChainAction>& actions,
              const SweepLimits& limits)
      : model_(model), limits_(limits), ways_(model.stages()), plan_(model), random_(0) {
    WaysOf set(ways_, model.stages());
    for (const auto& action : actions) std::visit(set, action);
    REMAT_ASSERT(plan_.execute(ways_, {limits.room, kNever}));
    accept();
    note_best();
  }

  std::vector<ChainAction> best() {
    for (std::int64_t round = 0; round < kRounds; ++round) {
      restart();
      for (std::int64_t i = 0; i < limits_.plans / kRounds; ++i) {
        if (best_time_ <= limits_.least_time || actions_ > limits_.actions) break;
        step(bound_at(i));
      }
    }
    restart();
    return plan_.actions(ways_);
  }

 private:
  struct Change {
    SweepRun run;
    Way way = kPass;  // before
  };

  // From the time of a stage's forward down to nothing.
  std::int64_t bound_at(std::int64_t i) const {
    const auto stage =
        model_.forward_time(model_.whole()) / static_cast<std::int64_t>(model_.stages());
    const auto plans = limits_.plans / kRounds;
    return static_cast<std::int64_t>(static_cast<double>(stage) * static_cast<double>(plans - i) /
                                     static_cast<double>(plans));
  }

  void step(std::int64_t bound) {
    changes_.clear();
    for (auto count = 1 + random_.below(5); count > 0; --count) change_one();
    const bool good = plan_.execute(ways_, {limits_.room, capped(time_ + bound)});
    actions_ += static_cast<std::int64_t>(plan_.runs().size());
    if (!good) {
      std::for_each(changes_.rbegin(), changes_.rend(),
                    [this](const Change& c) { ways_.of(c.run) = c.way; });
      return;
    }
    accept();
    if (time_ < best_time_) note_best();
  }

  void change_one() {
    const auto run = runs_[random_.below(runs_.size())];
    if (run.stage < run.target && random_.chance(30)) {
      auto next = run;
      ++next.stage;
      const auto way = ways_.of(run);
      set(run, ways_.of(next));
      set(next, way);
      return;
    }
    set(run, static_cast<Way>(static_cast<int>(random_.below(ways_of(run.stage) + 2)) - 2));
  }

  std::size_t ways_of(std::size_t stage) const { return 2 * model_.options[stage].size(); }

  void set(SweepRun run, Way way) {
    auto& there = ways_.of(run);
    changes_.push_back({run, there});
    // Moved here from its neighbour, it may be one that this stage has not.
    there = std::min(way, static_cast<Way>(ways_of(run.stage) - 1));
  }

  void accept() {
    time_ = plan_.time();
    runs_ = plan_.runs();
  }

  void note_best() {
    best_time_ = time_;
    best_.clear();
    for (const auto run : runs_) best_.push_back({run, ways_.of(run)});
  }

  void restart() {
    for (const auto& [run, way] : best_) ways_.of(run) = way;
    REMAT_ASSERT(plan_.execute(ways_, {limits_.room, best_time_}));
    accept();
  }

  const ChainModel& model_;
  const SweepLimits limits_;
  SweepWays ways_;
  SweepPlan plan_;
  SearchRandom random_;
  std::vector<SweepRun> runs_;  // of the plan that the ways lead to
  std::int64_t time_ = 0;
  std::int64_t best_time_ = 0;
  std::vector<Change> best_;
  std::vector<Change> changes_;
  std::int64_t actions_ = 0;
};

}  // namespace

std::vector<ChainAction> leave_persistence(const ChainModel& model,
                                           const std::vector<ChainAction>& actions,
                                           const SweepLimits& limits) {
  return SweepSearch(model, actions, limits).best();
}

}  // namespace remat::plan

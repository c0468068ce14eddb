// A chain's plan as the ways in which stages run in the sweeps before backwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <remat/graph.h>

#include "plan/chain_model.h"

namespace remat::plan {

/// How a stage runs: keeping nothing, keeping its input too, saved by an option (its place, from 0), or saved by
/// one and then run again to let go of its input (from the number of options). Nothing but a run frees an
/// activation; backward then needs it made again.
using Way = std::int16_t;
inline constexpr Way kPass = -2;
inline constexpr Way kCheckpoint = -1;

/// A run of a stage in a sweep before the backward of `target`, which is after it or the stage itself. `again`: the
/// target is saved already, but its input was let go.
struct SweepRun {
  std::uint16_t target = 0;
  std::uint16_t stage = 0;
  bool again = false;
};

/// The ways of all runs that can be; of most, nothing ever asks.
class SweepWays {
 public:
  explicit SweepWays(std::size_t stages) : ways_(stages * (stages + 1), kPass) {}

  Way& of(SweepRun run) {
    const auto before = std::size_t{run.target} * (std::size_t{run.target} + 1) / 2;
    return ways_[2 * (before + run.stage) + (run.again ? 1 : 0)];
  }

 private:
  std::vector<Way> ways_;
};

/// What ways lead to.
class SweepPlan {
 public:
  explicit SweepPlan(const ChainModel& model);

  struct Limits {
    std::int64_t room = 0;
    std::int64_t time = kNever;
  };
  /// Whether the plan stays within the limits. If not, it was left where that showed.
  bool execute(SweepWays& ways, Limits limits);

  std::int64_t time() const { return time_; }
  const std::vector<SweepRun>& runs() const { return runs_; }

  /// After an execute() that was true.
  std::vector<ChainAction> actions(SweepWays& ways) const;

 private:
  static constexpr Way kNotSaved = -1;

  bool there(std::size_t activation) const {
    return alone_[activation] != 0 || (activation > 0 && is_saved(activation - 1));
  }
  bool is_saved(std::size_t stage) const { return saved_[stage] != kNotSaved; }
  bool ready(std::size_t target) const { return is_saved(target) && there(target); }
  bool sweep(SweepWays& ways, std::size_t target);
  Way options_of(std::size_t stage) const { return static_cast<Way>(model_.options[stage].size()); }
  Way way_of(SweepWays& ways, SweepRun run) const;
  bool run(SweepRun run, Way way);
  bool save(std::size_t stage, const ModelOption& option);
  bool pass_on(std::size_t stage);
  bool run_saving_nothing(std::size_t stage);
  bool run_backward(std::size_t stage);
  // What a run or a backward adds: bytes while it lasts, and time.
  struct Cost {
    std::int64_t bytes = 0;
    std::int64_t time = 0;
  };
  bool fits(Cost cost);
  void free_alone(std::size_t activation);

  const ChainModel& model_;
  std::vector<SweepRun> runs_;
  std::vector<std::uint8_t> alone_;
  std::vector<Way> saved_;
  std::int64_t live_ = 0;  // the chain's input aside
  std::int64_t time_ = 0;
  Limits limits_;
};

}  // namespace remat::plan

// Simulated annealing over a RetentionState.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "plan/retention_moves.h"
#include "plan/retention_space.h"
#include "plan/retention_state.h"
#include "plan/search_random.h"

namespace remat::plan {

/// How one annealing run goes. Energies are shares of the plain step's time.
struct Annealing {
  double temperature = 0;    ///< at the start
  double cooling = 0;        ///< the temperature's factor for each of kAnnealingLevels
  double price = 0;          ///< of memory above the budget, at the start; adapted
  double coarse_share = 0;   ///< of the run, in which only what crosses into backward is decided
  unsigned odd_percent = 0;  ///< of patterns beside keep and keep-once-replayed
};

constexpr int kAnnealingLevels = 256;

/// Searches from several starts, then around the best. What it does depends on the arguments and the
/// work done only, unless the deadline passes.
class RetentionSearch {
 public:
  using Clock = std::chrono::steady_clock;

  RetentionSearch(const RetentionSpace& space, std::int64_t budget);

  void set_deadline(std::optional<Clock::time_point> deadline) { deadline_ = deadline; }
  std::optional<Clock::time_point> deadline() const { return deadline_; }
  bool out_of_time() const { return out_of_time_; }

  /// Stops as soon as what fits replays no longer than this, in ns.
  void set_goal(std::int64_t replay_time) { goal_ = replay_time; }

  /// Takes these decisions into account, as a start and as a candidate.
  void offer(const Patterns& patterns);

  /// Spends `effort` ops simulated. Starts from what was offered if anything was and `keep_start`.
  void search(std::int64_t effort);
  void refine(std::int64_t effort);
  /// Where nothing fits: makes what comes nearest fit.
  void repair(std::int64_t effort);
  /// Makes what fits better, by what fits only: from far away, where refine() would lose it.
  void descend(std::int64_t effort);

  /// What fits in least time; empty if nothing did.
  const std::optional<Patterns>& best() const { return best_; }
  std::int64_t best_replay_time() const { return best_replay_time_; }
  /// Where nothing fits: what comes nearest.
  const Patterns& nearest() const { return nearest_; }

  std::int64_t work() const { return state_.work(); }
  RetentionState& state() { return state_; }
  void load(const Patterns& patterns);

 private:
  bool finished() const { return out_of_time_ || (best_ && best_replay_time_ <= goal_); }
  void anneal(const Annealing& annealing, std::int64_t effort);
  void run_level(const Annealing& annealing, double temperature, bool coarse, std::int64_t until);
  void look_at_the_clock();
  double energy() const;
  void adapt_price();
  void remember();

  const RetentionSpace& space_;
  RetentionState state_;
  RetentionMoves moves_;
  SearchRandom random_;
  std::optional<Clock::time_point> deadline_;
  bool out_of_time_ = false;
  std::int64_t next_look_ = 0;  // at the clock, by work
  std::int64_t goal_ = -1;
  double price_ = 0;
  double energy_ = 0;
  std::optional<Patterns> best_;
  std::int64_t best_replay_time_ = 0;
  Patterns nearest_;
  std::int64_t least_excess_ = 0;
};

}  // namespace remat::plan

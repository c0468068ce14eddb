#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <remat/chain_planner.h>
#include <remat/simulator.h>

#include "base/check.h"
#include "base/text.h"
#include "graph/chain_check.h"
#include "plan/chain_model.h"
#include "plan/chain_schedule.h"
#include "plan/chain_segments.h"
#include "plan/exact_times.h"
#include "plan/least_room.h"
#include "plan/slot_times.h"
#include "plan/sweep_search.h"

namespace remat {
namespace plan {
namespace {

// Of plans in slots: 8 bytes for each segment and slot, and a 32nd for summaries; 0.7 GiB together.
constexpr std::int64_t kMostEntries = 90'000'000;
constexpr std::int64_t kFewestSlots = 64;
constexpr std::size_t kMostStages = 4096;

// First, to know a time that other tables need not exceed.
constexpr std::int64_t kCoarseSlots = 500;

// Slots where moves times slots stay below that, else half as many: about a second of one core of 2026's
// servers.
constexpr std::int64_t kSlots = 4000;
constexpr std::int64_t kMostMoves = 5'500'000'000;

// Steps that the exact table may read: about a second too.
constexpr std::int64_t kExactEffort = 150'000'000;

// What the search beyond persistent plans may look at: some 50 ms of one core of 2026's servers.
constexpr std::int64_t kSearchPlans = 10'000;
constexpr std::int64_t kSearchActions = 5'000'000;

std::vector<ChainAction> plain_actions(const ChainModel& model) {
  std::vector<ChainAction> actions;
  const auto stages = static_cast<std::int64_t>(model.stages());
  for (std::int64_t i = 0; i < stages; ++i) {
    actions.emplace_back(SaveStage{i, model.fastest[static_cast<std::size_t>(i)]});
  }
  for (auto i = stages; i-- > 0;) actions.emplace_back(BackwardStage{i});
  return actions;
}

class ChainSolver {
 public:
  ChainSolver(const Chain& chain, const ChainPlanOptions& options)
      : chain_(chain), options_(options), memory_(options.memory), model_(chain) {
    plan_.chain = chain.name;
    plan_.budget = options.memory;
    plan_.planner = "chain";
  }

  ChainPlanResult solve() {
    check_number_of_stages();
    const ChainSegments segments(model_);
    const LeastRoom least(model_, segments);
    const auto room = model_.room(memory_);
    result_.min_feasible = memory_ - Bytes(room) + Bytes(least(model_.whole()));
    result_.lower_bound_time = chain_lower_bound(chain_, memory_);
    if (!take_plain() && memory_ >= result_.min_feasible) {
      take_persistent({model_, segments, least, room});
      leave_persistence_behind(room);
    }
    return std::move(result_);
  }

 private:
  void check_number_of_stages() const {
    REMAT_CHECK(model_.stages() <= kMostStages, InvalidArgument,
                "plan_chain: chain {} has {} stages, expected at most {}: join some, or use "
                "plan_chain_segments or plan_chain_revolve",
                quote(chain_.name), model_.stages(), kMostStages);
  }

  // Nothing is faster.
  bool take_plain() {
    auto actions = plain_actions(model_);
    const auto simulation = simulation_of(actions);
    result_.plain_peak = simulation.peak;
    result_.plain_time = simulation.plain_time;
    result_.slot = Bytes(1);
    if (simulation.peak > memory_) return false;
    take_if_faster(std::move(actions));
    result_.optimal_persistent = true;
    return true;
  }

  void take_persistent(const SlotTimes::Problem& problem) {
    const auto slots = slots_for(problem);
    take_from_slots(problem, std::min(slots, kCoarseSlots));
    if (take_from_bytes(problem) || slots <= kCoarseSlots) return;
    take_from_slots(problem, slots);
  }

  std::int64_t slots_for(const SlotTimes::Problem& problem) const {
    const auto size = SlotTimes::size_of(problem);
    const auto slots = std::min(size.moves * kSlots <= kMostMoves ? kSlots : kSlots / 2,
                                kMostEntries / std::max<std::int64_t>(1, size.rows));
    REMAT_CHECK(slots >= kFewestSlots, InvalidArgument,
                "plan_chain: chain {} has {} different segments, expected at most {}: join some "
                "stages, or use plan_chain_segments or plan_chain_revolve",
                quote(chain_.name), size.rows, kMostEntries / kFewestSlots);
    return slots;
  }

  void take_from_slots(const SlotTimes::Problem& problem, std::int64_t slots) {
    const SlotTimes times(problem, {slots, known_time()});
    result_.slot = Bytes(times.slot_bytes());
    result_.optimal_persistent = times.slot_bytes() == 1;
    take_if_faster(ChainSchedule(model_, times, problem.least).actions(problem.room));
  }

  bool take_from_bytes(const SlotTimes::Problem& problem) {
    const auto times = ExactTimes::solve(
        {problem.model, problem.segments, problem.room, known_time()}, kExactEffort);
    if (!times) return false;
    result_.slot = Bytes(1);
    result_.optimal_persistent = true;
    take_if_faster(ChainSchedule(model_, *times, problem.least).actions(problem.room));
    return true;
  }

  void leave_persistence_behind(std::int64_t room) {
    if (!result_.feasible || options_.persistent) return;
    const auto persistent = result_.plan.predicted_time;
    take_if_faster(
        leave_persistence(model_, result_.plan.actions,
                          {room, result_.lower_bound_time.count(), kSearchPlans, kSearchActions}));
    result_.gained = persistent - result_.plan.predicted_time;
  }

  std::int64_t known_time() const {
    return result_.feasible ? result_.plan.predicted_time.count() : kNever;
  }

  Simulation simulation_of(std::vector<ChainAction> actions) {
    plan_.actions = std::move(actions);
    return simulate(chain_, plan_);
  }

  // Not where its time adds up to 2^63 ns.
  void take_if_faster(std::vector<ChainAction> actions) {
    const auto simulation = simulation_of(std::move(actions));
    if (!simulation.valid()) return;
    REMAT_ASSERT(simulation.peak <= memory_);
    if (result_.feasible && simulation.time >= result_.plan.predicted_time) return;
    plan_.predicted_peak = simulation.peak;
    plan_.predicted_time = simulation.time;
    result_.plan = plan_;
    result_.feasible = true;
  }

  const Chain& chain_;
  const ChainPlanOptions options_;
  const Bytes memory_;
  const ChainModel model_;
  ChainPlan plan_;
  ChainPlanResult result_;
};

}  // namespace
}  // namespace plan

ChainPlanResult plan_chain(const Chain& chain, const ChainPlanOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  graph::check_chain(chain, fmt::format("plan_chain: chain {}", quote(chain.name)));
  auto result = plan::ChainSolver(chain, options).solve();
  result.solve_time = std::chrono::steady_clock::now() - start;
  return result;
}

}  // namespace remat

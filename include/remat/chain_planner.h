// Plans for chains: which stages are saved, which run again, so that a step fits a budget. Needs no
// LibTorch.
#pragma once

#include <chrono>
#include <cstdint>
#include <variant>
#include <vector>

#include <remat/bytes.h>
#include <remat/graph.h>
#include <remat/placement.h>

namespace remat {

struct ChainPlanOptions {
  Bytes memory;  ///< what the whole step may use, Chain::fixed included
  /// Only plans in which what is kept to run later stages from stays until their backward has used it.
  bool persistent = false;
};

struct ChainPlanResult {
  bool feasible = false;
  ChainPlan plan;  ///< without actions where none fits
  Bytes
      min_feasible;  ///< the smallest budget with a persistent plan: whether one fits depends on it alone
  Bytes plain_peak;  ///< of the step that recomputes nothing, as fast as it can be
  std::chrono::nanoseconds plain_time{
      0};  ///< of each stage the option of least forward and backward
  /// No plan within the budget takes less, persistent or not. At least plain_time.
  std::chrono::nanoseconds lower_bound_time{0};
  /// No persistent plan within the budget is faster. False where sizes were rounded to slots; a plan
  /// may then still be the best.
  bool optimal_persistent = false;
  /// What sizes were rounded up to: one byte where nothing was rounded, so that nothing was lost. Each
  /// kept tensor may have cost up to a slot of memory that the plan then does not use.
  Bytes slot;
  /// What leaving persistence saved: the persistent plan's time less the plan's.
  std::chrono::nanoseconds gained{0};
  std::chrono::nanoseconds solve_time{0};
};

/// The persistent plan of least time, then improved by a search that leaves persistence. (It cannot make
/// fit what does not; where it finds something, more memory may find it less.)
///
/// Solves in bytes while that is quick, else with sizes rounded up to one of 2,000 to 4,000 slots of the
/// budget, fewer where the table would take more than about 0.7 GiB. Stages that are equal in sizes, times
/// and options are solved for once. A plan is found exactly if `options.memory` is at least
/// min_feasible. Its predictions are simulate()'s, and its peak is within the budget.
/// Errors:  InvalidArgument if the chain cannot be (see read_chain), or if it has so many different
///          stages that no table of 64 slots fits.
/// Threads: one; a result depends on chain and options only, not on the machine.
/// Cost:    for n different stages at most about n^3 / 6 times the slots, mostly far less: docs/design/planners.md.
/// Source:  Beaumont et al. 2019 (Rotor), hal-02352969, section 4, with the gradient at the end of the
///          segment in the test of a save; several options as in Zhao et al. 2023 (Rockmate),
///          arXiv:2307.01236.
ChainPlanResult plan_chain(const Chain& chain, const ChainPlanOptions& options);

/// The time that no plan within `memory` beats, persistent or not: as the last stage's backward begins,
/// each stage is either saved or runs once more later, and what is saved has to fit.
/// Errors: InvalidArgument if the chain cannot be.
/// Cost:   n log n in stages and options.
/// Source: the linear relaxation of the multiple-choice knapsack problem: Sinha and Zoltners 1979,
///         Operations Research 27(3).
std::chrono::nanoseconds chain_lower_bound(const Chain& chain, Bytes memory);

/// The rules none, full, every:K, segments:N and sqrt on a chain's stages. A checkpointed segment runs
/// saving nothing but its input, and again in its backward with all saved; the others are saved at once.
/// Of each stage the option of least forward and backward time is used. The budget is the plan's peak.
/// Errors: InvalidArgument if the chain cannot be, or has fewer stages than segments.
/// Cost:   linear.
/// Source: Chen et al. 2016, arXiv:1604.06174, section 3.
ChainPlan plan_chain_segments(const Chain& chain, const Placement& placement);

/// Chen's greedy segments: a segment ends where what its stages save exceeds a limit. Limits around the
/// geometric mean of what is kept between segments and within the largest are tried; of the plans that fit
/// `memory` the fastest is returned, else the one of least peak. The last segment is saved at once. The
/// plan's budget is `memory`, so where none fits, its peak is above its budget.
/// Errors: InvalidArgument if the chain cannot be.
/// Cost:   some tens of simulations.
/// Source: Chen et al. 2016, arXiv:1604.06174, algorithm 3 and section 4.3.
ChainPlan plan_chain_greedy(const Chain& chain, Bytes memory);

/// Revolve's schedule for equal steps, used on a chain: at most `slots` activations, the chain's input
/// among them, are kept to run from; each stage is saved only just before its backward. The budget is
/// the plan's peak.
/// Errors: InvalidArgument if the chain cannot be, or unless `slots` >= 1.
/// Cost:   its actions, about revolve_extra_steps plus two for each stage.
/// Source: Griewank and Walther 2000, ACM TOMS 26(1), algorithm 799.
ChainPlan plan_chain_revolve(const Chain& chain, std::int64_t slots);

/// Equal steps in a row to be reversed, with room for so many states.
struct EqualSteps {
  std::int64_t steps = 0;
  std::int64_t slots = 0;
};

/// The least number of steps that run beyond the first, saved run of each, when `steps` equal steps
/// are reversed with room for `slots` states, the first among them.
/// Errors: InvalidArgument unless both are at least 1; if the result is 2^63 or more.
/// Cost:   constant time for each repetition: at most linear in steps (one slot), mostly a few.
/// Source: Griewank and Walther 2000, proposition 1.
std::int64_t revolve_extra_steps(EqualSteps problem);

/// How far to run, keeping nothing, from a kept state with `steps` left to reverse and `slots` slots, its
/// own among them, before the next state is kept: an optimal choice, at most steps - 1.
/// Errors: InvalidArgument unless steps >= 2 and slots >= 1.
/// Source: Griewank and Walther 2000, section 3.
std::int64_t revolve_advance(EqualSteps left);

/// Where states can be kept: so many, at such a price.
struct StorageLevel {
  std::int64_t slots = 0;
  std::chrono::nanoseconds write{0};
  std::chrono::nanoseconds read{0};
};

struct StepTimes {
  std::chrono::nanoseconds forward{0};  ///< of a step that keeps nothing for its backward
  std::chrono::nanoseconds reverse{0};  ///< of running a step for its backward, and that
};

/// State i is the input of step i. One state is at hand at any time; it is lost when steps run on from it.
struct AdvanceSteps {
  std::int64_t first = 0;
  std::int64_t end = 0;  ///< the state then at hand
};
/// Keeps the state at hand, too, in a slot of a level.
struct WriteState {
  std::int64_t state = 0;
  std::int64_t level = 0;
};
/// Makes a kept state the one at hand. With `last` its slot is free afterwards.
struct ReadState {
  std::int64_t state = 0;
  std::int64_t level = 0;
  bool last = false;
};
/// Frees the slot of a state that is not read again.
struct FreeState {
  std::int64_t state = 0;
  std::int64_t level = 0;
};
/// From state `step`, at hand. The last step first.
struct ReverseStep {
  std::int64_t step = 0;
};
using LevelAction = std::variant<AdvanceSteps, WriteState, ReadState, FreeState, ReverseStep>;

struct LevelPlan {
  std::vector<LevelAction> actions;
  std::chrono::nanoseconds time{0};
};

/// Reverses `steps` equal steps with slots on several levels, the cheapest first: device, host, disk. What
/// a level keeps is reversed from there with the slots of cheaper levels. Step 0's input is at hand at first.
///
/// Errors: InvalidArgument unless steps >= 1, there is a level, the first has a slot, no number is negative
///         and times add up to less than 2^63 ns; if the table would have more than 10^8 entries.
/// Cost:   levels times steps^2 times the slots of the largest level (no more than steps of them count);
///         8 bytes for each level, step and slot, twice.
/// Source: Herrmann and Pallez 2020, ACM TOMS 46(2), section 4 (H-Revolve).
LevelPlan plan_levels(std::int64_t steps, const StepTimes& times,
                      const std::vector<StorageLevel>& levels);

}  // namespace remat

// Plans for chains: which stages are saved, which run again, so that a step fits a budget. Needs no
// LibTorch.
#pragma once

#include <chrono>

#include <remat/bytes.h>
#include <remat/graph.h>

namespace remat {

struct ChainPlanOptions {
  Bytes memory;  ///< what the whole step may use, Chain::fixed included
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
  std::chrono::nanoseconds solve_time{0};
};

/// The persistent plan of least time (what is kept to run later stages from stays until their backward
/// has used it).
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

}  // namespace remat

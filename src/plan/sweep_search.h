// Improves a chain's plan by leaving persistence: what is kept may be let go before its backward.
#pragma once

#include <cstdint>
#include <vector>

#include <remat/graph.h>

#include "plan/chain_model.h"

namespace remat::plan {

/// What bounds the search. It stops at `least_time`, which nothing beats.
struct SweepLimits {
  std::int64_t room = 0;
  std::int64_t least_time = 0;
  std::int64_t plans = 0;    ///< looked at, at most
  std::int64_t actions = 0;  ///< in all of them together, at most
};

/// A plan is a sweep before each backward whose stage is not saved yet: from the last activation that is there up
/// to that stage, each stage run in one of its ways. This changes ways at random, a few at a time, and keeps
/// what fits and is not slower than the last plan by more than a bound that falls to nothing: threshold
/// accepting (Dueck and Scheuer 1990, Journal of Computational Physics 90(1)).
///
/// Precondition: `actions` are a persistent plan by ChainSchedule that fits.
/// Returns:      the fastest plan seen that fits: at worst `actions`.
std::vector<ChainAction> leave_persistence(const ChainModel& model,
                                           const std::vector<ChainAction>& actions,
                                           const SweepLimits& limits);

}  // namespace remat::plan

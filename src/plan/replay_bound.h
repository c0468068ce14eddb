// How little time the replays after one moment can take.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "plan/replay_cut.h"

namespace remat::plan {

/// The bound at the best price of memory, and the two cuts between which it lies.
struct PricedBound {
  std::int64_t bound = 0;
  double price = 0;
  ReplayCut over;     ///< more resident than there is room for; where it fits, it is the best
  ReplayCut fitting;  ///< as cheap as was seen of what fits

  bool exact() const { return bound >= fitting.time; }
};

/// The best price, by secants from the cuts of no price and of least bytes. Stops where no price can
/// give more than `enough`. Empty if nothing fits.
std::optional<PricedBound> bound_at_best_price(ReplayCuts& cuts, std::int64_t enough);

/// `root` with its bound raised by branch and bound over which ops are replayed, and `fitting` the best that
/// was seen of what fits: bound and time are equal if the work allows.
PricedBound bound_by_branching(ReplayCuts& cuts, const PricedBound& root);

}  // namespace remat::plan

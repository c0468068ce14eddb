// The changes that the search over a RetentionState tries.
#pragma once

#include <vector>

#include "plan/retention_space.h"
#include "plan/retention_state.h"
#include "plan/search_random.h"

namespace remat::plan {

class RetentionMoves {
 public:
  explicit RetentionMoves(const RetentionSpace& space);

  bool any() const { return !gaps_.empty(); }

  /// Whether values that backward needs are kept from forward, nothing else: where a search starts.
  void coarse(RetentionState& state, SearchRandom& random) const;

  /// Any pattern in any gap. `odd_percent`: how often other patterns than keep and keep-once-replayed.
  void fine(RetentionState& state, SearchRandom& random, unsigned odd_percent) const;

 private:
  Place any_of(const std::vector<Place>& places, SearchRandom& random) const;
  Place any_gap_of(Place value, SearchRandom& random) const;
  Place near(Place value, SearchRandom& random) const;
  void exchange(RetentionState& state, Place a, Place b) const;
  void redecide_value(RetentionState& state, SearchRandom& random, unsigned odd_percent) const;
  void redecide_stretch(RetentionState& state, SearchRandom& random, unsigned odd_percent) const;

  const RetentionSpace& space_;
  std::vector<Place> gaps_;      // that can be decided
  std::vector<Place> crossing_;  // values with a gap from forward into backward that can be decided
  std::vector<Place> crossing_gap_;  // of each value, or -1
  PlaceLists
      neighbours_;  // of each value: crossing ones that its op reads or that are made from it
};

}  // namespace remat::plan

// The changes that the search over a RetentionState tries.
#pragma once

#include <vector>

#include "plan/places.h"
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
  GapPlace any_gap(ValuePlace value, SearchRandom& random) const;
  ValuePlace near(ValuePlace value, SearchRandom& random) const;
  void redecide_value(RetentionState& state, SearchRandom& random, unsigned odd_percent) const;
  void redecide_stretch(RetentionState& state, SearchRandom& random, unsigned odd_percent) const;

  const RetentionSpace& space_;
  std::vector<GapPlace> gaps_;        // that can be decided
  std::vector<ValuePlace> crossing_;  // with a gap from forward into backward that can be decided
  ByPlace<ValuePlace, GapPlace> crossing_gap_;  // or none
  // Crossing ones that its op reads or that are made from it.
  ListsByPlace<ValuePlace, ValuePlace> neighbours_;
};

}  // namespace remat::plan

#include "plan/retention_moves.h"

#include <algorithm>
#include <cstddef>

namespace remat::plan {
namespace {

std::size_t at(Place place) { return static_cast<std::size_t>(place); }

KeepPattern other_pattern(KeepPattern current, SearchRandom& random, unsigned odd_percent) {
  for (;;) {
    auto pattern = random.chance(50) ? kKeepThroughout : kKeepOnceReplayed;
    if (random.chance(odd_percent)) {
      pattern = random.chance(50)   ? static_cast<KeepPattern>(random.below(kPatterns))
                : random.chance(50) ? kDropAlways
                                    : kKeepToFirstReplay;
    }
    if (pattern != current) return pattern;
  }
}

KeepPattern any_pattern(SearchRandom& random, unsigned odd_percent) {
  return other_pattern(kPatterns, random, odd_percent);
}

}  // namespace

RetentionMoves::RetentionMoves(const RetentionSpace& space)
    : space_(space), crossing_gap_(at(space.values()), -1) {
  for (std::size_t i = 0; i < space.gaps.size(); ++i) {
    const auto& gap = space.gaps[i];
    if (gap.forced) continue;
    gaps_.push_back(static_cast<Place>(i));
    const bool crossing = !gap.last && gap.begin >= 0 && !space.backward[at(gap.begin)] &&
                          space.backward[at(gap.end)];
    if (!crossing) continue;
    crossing_gap_[at(gap.value)] = static_cast<Place>(i);
    crossing_.push_back(gap.value);
  }
  std::vector<std::vector<Place>> neighbours(at(space.values()));
  for (Place op = 0; op < space.slots(); ++op) {
    for (const auto written : space.writes[op]) {
      for (const auto read : space.reads[op]) {
        if (crossing_gap_[at(written)] < 0 || crossing_gap_[at(read)] < 0) continue;
        neighbours[at(written)].push_back(read);
        neighbours[at(read)].push_back(written);
      }
    }
  }
  for (const auto& list : neighbours) neighbours_.add(list);
}

Place RetentionMoves::any_of(const std::vector<Place>& places, SearchRandom& random) const {
  return places[random.below(places.size())];
}

Place RetentionMoves::any_gap_of(Place value, SearchRandom& random) const {
  const auto first = space_.first_gap[at(value)];
  const auto end = at(value) + 1 < space_.first_gap.size() ? space_.first_gap[at(value) + 1]
                                                           : static_cast<Place>(space_.gaps.size());
  return first + static_cast<Place>(random.below(at(end - first)));
}

Place RetentionMoves::near(Place value, SearchRandom& random) const {
  const auto around = neighbours_[value];
  return !around.empty() && random.chance(50) ? around[random.below(around.size())]
                                              : any_of(crossing_, random);
}

void RetentionMoves::exchange(RetentionState& state, Place a, Place b) const {
  const auto pattern = state.pattern(a);
  state.keep(a, state.pattern(b));
  state.keep(b, pattern);
}

void RetentionMoves::coarse(RetentionState& state, SearchRandom& random) const {
  if (crossing_.empty()) return;
  const auto toggle = [&](Place value) {
    const auto gap = crossing_gap_[at(value)];
    state.keep(gap, state.pattern(gap) == kKeepThroughout ? kKeepOnceReplayed : kKeepThroughout);
  };
  const auto value = any_of(crossing_, random);
  const auto kind = random.below(10);
  if (kind < 5) {
    toggle(value);
  } else if (kind < 8) {
    exchange(state, crossing_gap_[at(value)], crossing_gap_[at(near(value, random))]);
  } else {
    const auto pattern = random.chance(50) ? kKeepThroughout : kKeepOnceReplayed;
    const auto first = random.below(crossing_.size());
    const auto end = std::min(crossing_.size(), first + 2 + random.below(6));
    for (auto i = first; i < end; ++i) {
      if (random.chance(50)) state.keep(crossing_gap_[at(crossing_[i])], pattern);
    }
  }
}

void RetentionMoves::fine(RetentionState& state, SearchRandom& random, unsigned odd_percent) const {
  const auto kind = random.below(8);
  if (kind < 4 || crossing_.empty()) {
    const auto gap = any_of(gaps_, random);
    state.keep(gap, other_pattern(state.pattern(gap), random, odd_percent));
  } else if (kind < 6) {
    const auto value = any_of(crossing_, random);
    const auto other = near(value, random);
    const bool anywhere = random.chance(25);
    exchange(state, anywhere ? any_gap_of(value, random) : crossing_gap_[at(value)],
             anywhere ? any_gap_of(other, random) : crossing_gap_[at(other)]);
  } else if (kind < 7) {
    redecide_value(state, random, odd_percent);
  } else {
    redecide_stretch(state, random, odd_percent);
  }
}

// All gaps of a value from forward's last use on.
void RetentionMoves::redecide_value(RetentionState& state, SearchRandom& random,
                                    unsigned odd_percent) const {
  const auto value = any_of(crossing_, random);
  const auto pattern = any_pattern(random, odd_percent);
  for (auto gap = crossing_gap_[at(value)]; at(gap) < space_.gaps.size(); ++gap) {
    if (space_.gaps[at(gap)].value != value) break;
    state.keep(gap, pattern);
  }
}

// Some values in a row.
void RetentionMoves::redecide_stretch(RetentionState& state, SearchRandom& random,
                                      unsigned odd_percent) const {
  const auto pattern = any_pattern(random, odd_percent);
  const auto first = random.below(crossing_.size());
  const auto end = std::min(crossing_.size(), first + 1 + random.below(6));
  for (auto i = first; i < end; ++i) {
    if (random.chance(50)) continue;
    const auto value = crossing_[i];
    state.keep(random.chance(50) ? crossing_gap_[at(value)] : any_gap_of(value, random), pattern);
  }
}

}  // namespace remat::plan

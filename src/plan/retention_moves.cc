#include "plan/retention_moves.h"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace remat::plan {
namespace {

template <class P>
P any_of(const std::vector<P>& places, SearchRandom& random) {
  return places[random.below(places.size())];
}

KeepPattern any_pattern_but(std::optional<KeepPattern> current, SearchRandom& random,
                            unsigned odd_percent) {
  for (;;) {
    auto pattern = random.chance(50) ? kKeepThroughout : kKeepOnceReplayed;
    if (random.chance(odd_percent)) {
      pattern = random.chance(50)   ? KeepPattern(static_cast<unsigned>(random.below(kPatterns)))
                : random.chance(50) ? kDropAlways
                                    : kKeepToFirstReplay;
    }
    if (pattern != current) return pattern;
  }
}

struct TwoGaps {
  GapPlace a, b;
};

void exchange(RetentionState& state, TwoGaps gaps) {
  const auto pattern = state.pattern(gaps.a);
  state.keep(gaps.a, state.pattern(gaps.b));
  state.keep(gaps.b, pattern);
}

}  // namespace

RetentionMoves::RetentionMoves(const RetentionSpace& space)
    : space_(space), crossing_gap_(space.bytes.size()) {
  for (const auto i : space.gaps.places()) {
    const auto& gap = space.gaps[i];
    if (gap.forced) continue;
    gaps_.push_back(i);
    const bool crossing = !gap.last && gap.begin.exists() && !space.backward[first_op(gap.begin)] &&
                          space.backward[first_op(gap.end)];
    if (!crossing) continue;
    crossing_gap_[gap.value] = i;
    crossing_.push_back(gap.value);
  }
  ByPlace<ValuePlace, std::vector<ValuePlace>> neighbours(space.bytes.size());
  for (const auto op : space.workspace.places()) {
    for (const auto written : space.writes[op]) {
      for (const auto read : space.reads[op]) {
        if (!crossing_gap_[written].exists() || !crossing_gap_[read].exists()) continue;
        neighbours[written].push_back(read);
        neighbours[read].push_back(written);
      }
    }
  }
  for (const auto& list : neighbours) neighbours_.add(list);
}

GapPlace RetentionMoves::any_gap(ValuePlace value, SearchRandom& random) const {
  const auto first = space_.first_gap[value];
  const auto next = value + 1;
  const auto end =
      space_.first_gap.has(next) ? space_.first_gap[next] : GapPlace(space_.gaps.size());
  return first + static_cast<std::int32_t>(random.below(static_cast<std::size_t>(end - first)));
}

ValuePlace RetentionMoves::near(ValuePlace value, SearchRandom& random) const {
  const auto around = neighbours_[value];
  return !around.empty() && random.chance(50) ? around[random.below(around.size())]
                                              : any_of(crossing_, random);
}

void RetentionMoves::coarse(RetentionState& state, SearchRandom& random) const {
  if (crossing_.empty()) return;
  const auto toggle = [&](ValuePlace value) {
    const auto gap = crossing_gap_[value];
    state.keep(gap, state.pattern(gap) == kKeepThroughout ? kKeepOnceReplayed : kKeepThroughout);
  };
  const auto value = any_of(crossing_, random);
  const auto kind = random.below(10);
  if (kind < 5) {
    toggle(value);
  } else if (kind < 8) {
    exchange(state, {crossing_gap_[value], crossing_gap_[near(value, random)]});
  } else {
    const auto pattern = random.chance(50) ? kKeepThroughout : kKeepOnceReplayed;
    const auto first = random.below(crossing_.size());
    const auto end = std::min(crossing_.size(), first + 2 + random.below(6));
    for (auto i = first; i < end; ++i) {
      if (random.chance(50)) state.keep(crossing_gap_[crossing_[i]], pattern);
    }
  }
}

void RetentionMoves::fine(RetentionState& state, SearchRandom& random, unsigned odd_percent) const {
  const auto kind = random.below(8);
  if (kind < 4 || crossing_.empty()) {
    const auto gap = any_of(gaps_, random);
    state.keep(gap, any_pattern_but(state.pattern(gap), random, odd_percent));
  } else if (kind < 6) {
    const auto value = any_of(crossing_, random);
    const auto other = near(value, random);
    const bool anywhere = random.chance(25);
    const auto b = anywhere ? any_gap(other, random) : crossing_gap_[other];
    const auto a = anywhere ? any_gap(value, random) : crossing_gap_[value];
    exchange(state, {a, b});
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
  const auto pattern = any_pattern_but(std::nullopt, random, odd_percent);
  for (auto gap = crossing_gap_[value]; space_.gaps.has(gap); ++gap) {
    if (space_.gaps[gap].value != value) break;
    state.keep(gap, pattern);
  }
}

// Some values in a row.
void RetentionMoves::redecide_stretch(RetentionState& state, SearchRandom& random,
                                      unsigned odd_percent) const {
  const auto pattern = any_pattern_but(std::nullopt, random, odd_percent);
  const auto first = random.below(crossing_.size());
  const auto end = std::min(crossing_.size(), first + 1 + random.below(6));
  for (auto i = first; i < end; ++i) {
    if (random.chance(50)) continue;
    const auto value = crossing_[i];
    state.keep(random.chance(50) ? crossing_gap_[value] : any_gap(value, random), pattern);
  }
}

}  // namespace remat::plan

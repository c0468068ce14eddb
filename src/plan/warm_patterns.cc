#include "plan/warm_patterns.h"

#include <algorithm>

namespace remat::plan {
namespace {

std::size_t at(Place place) { return static_cast<std::size_t>(place); }

class PatternReader {
 public:
  explicit PatternReader(const RetentionSpace& space)
      : space_(space),
        patterns_(space.gaps.size(), kKeepThroughout),
        touches_(space.gaps.size()),
        seen_in_(at(space.values()), -1) {}

  std::vector<KeepPattern> read(const std::vector<std::size_t>& runs) {
    Place slot = 0;
    for (const auto run : runs) {
      const auto op = static_cast<Place>(run);
      const bool first = op == slot;
      for (const auto value : first ? space_.touched_first[op] : space_.reads[op]) {
        touch(value, slot, /*made_again=*/false);
      }
      if (first) {
        ++slot;
      } else {
        for (const auto value : space_.writes[op]) touch(value, slot, /*made_again=*/true);
      }
    }
    return std::move(patterns_);
  }

 private:
  // What a slot makes again was not there; what it reads first was.
  void touch(Place value, Place slot, bool made_again) {
    if (seen_in_[at(value)] == slot) return;
    seen_in_[at(value)] = slot;
    const auto gap = at(space_.gap_at(value, slot));
    if (made_again) {
      patterns_[gap] =
          static_cast<KeepPattern>(patterns_[gap] & ~(1 << std::min(touches_[gap], 3)));
    }
    ++touches_[gap];
  }

  const RetentionSpace& space_;
  std::vector<KeepPattern> patterns_;
  std::vector<int> touches_;
  std::vector<Place> seen_in_;
};

}  // namespace

std::vector<KeepPattern> patterns_of(const RetentionSpace& space,
                                     const std::vector<std::size_t>& runs) {
  return PatternReader(space).read(runs);
}

std::vector<KeepPattern> patterns_replaying(const RetentionSpace& space, Place moment,
                                            const std::vector<Place>& ops) {
  std::vector<KeepPattern> patterns(space.gaps.size(), kKeepThroughout);
  for (const auto op : ops) {
    for (const auto value : space.writes[op]) {
      const auto gap = at(space.gap_at(value, moment));
      if (space.gaps[gap].end != moment) patterns[gap] = kKeepOnceReplayed;
    }
  }
  return patterns;
}

}  // namespace remat::plan

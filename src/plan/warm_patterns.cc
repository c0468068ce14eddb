#include "plan/warm_patterns.h"

#include <utility>

namespace remat::plan {
namespace {

class PatternReader {
 public:
  explicit PatternReader(const RetentionSpace& space)
      : space_(space),
        patterns_(space.gaps.size(), kKeepThroughout),
        touches_(space.gaps.size()),
        seen_in_(space.bytes.size()) {}

  Patterns read(const std::vector<std::size_t>& runs) {
    Slot slot(0);
    for (const auto run : runs) {
      const OpPlace op(run);
      const bool first = first_slot(op) == slot;
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
  void touch(ValuePlace value, Slot slot, bool made_again) {
    if (seen_in_[value] == slot) return;
    seen_in_[value] = slot;
    const auto gap = space_.gap_at(value, slot);
    if (made_again) patterns_[gap] = patterns_[gap].dropped_after(touches_[gap]);
    ++touches_[gap];
  }

  const RetentionSpace& space_;
  Patterns patterns_;
  ByPlace<GapPlace, std::size_t> touches_;
  ByPlace<ValuePlace, Slot> seen_in_;
};

}  // namespace

Patterns patterns_of(const RetentionSpace& space, const std::vector<std::size_t>& runs) {
  return PatternReader(space).read(runs);
}

Patterns patterns_replaying(const RetentionSpace& space, Slot moment,
                            const std::vector<OpPlace>& ops) {
  Patterns patterns(space.gaps.size(), kKeepThroughout);
  for (const auto op : ops) {
    for (const auto value : space.writes[op]) {
      const auto gap = space.gap_at(value, moment);
      if (space.gaps[gap].end != moment) patterns[gap] = kKeepOnceReplayed;
    }
  }
  return patterns;
}

}  // namespace remat::plan

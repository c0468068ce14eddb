// What a plan has a tape do. (Rules T8, T9, T13)
#include "tape/tape.h"

namespace remat::tape {

/// Whether it says when a value is in memory. What it says so of may be memory here that nobody has written yet, or
/// what cannot be made again: a file may be wrong, and a leaf may have been overwritten.
bool Tape::plan_decides(ValueIndex value) const {
  return record_.values[value].sound && follower_.decides(value);
}

/// False of values of operators that have yet to run.
bool Tape::is_there(ValueIndex value) const {
  return at_place(value) < static_cast<std::size_t>(record_.values.size());
}

void Tape::replay_for_plan(const std::vector<ValueIndex>& values) {
  wanted_ = values;
  for (const ValueIndex value : values) {
    if (!is_there(value) || !record_.values[value].sound) continue;
    const c10::Storage storage = make(value);
    if (!record_.values[value].held) hold(value, storage);
  }
  wanted_.clear();
}

void Tape::drop_for_plan(ValueIndex value) {
  // Of operators that are one in the plan, the last has yet to run.
  if (!is_there(value)) {
    dropped_ahead_.insert(static_cast<std::int32_t>(value));
    return;
  }
  if (!record_.values[value].held || !may_go(value)) return;
  let_go(value);
}

void Tape::pack_for_plan(ValueIndex value) {
  if (!is_there(value)) return drop_for_plan(value);
  const c10::Storage storage = record_.values[value].held;
  if (!storage || !record_.values[value].sound || !may_go(value)) return;
  const bool was_dropped = record_.values[value].dropped;
  const bool is_packed = packed_.pack(value, storage);
  drop_for_plan(value);
  if (!is_packed) return;
  ++counts_.packs;
  record_.values[value].packed = true;
  record_.values[value].dropped = was_dropped;
}

void Tape::drop_packed_for_plan(ValueIndex value) { packed_.drop(value); }

void Tape::plan_left() {
  for (std::int32_t i = 0; i < record_.values.size(); ++i) {
    const auto index = static_cast<ValueIndex>(i);
    const Slot& slot = record_.slots[record_.values[index].slot];
    const bool asked_later = slot.current == index && slot.hooks > 0;
    if (asked_later) continue;
    let_go(index);
    packed_.drop(index);
  }
}

std::shared_ptr<const StepPlan> Tape::followed_plan() const {
  const auto& plan = follower_.plan();
  return plan != nullptr && plan->graph.last_asked == last_asked_event(record_) ? plan : nullptr;
}

}  // namespace remat::tape

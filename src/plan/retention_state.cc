#include "plan/retention_state.h"

#include <algorithm>
#include <utility>

namespace remat::plan {
RetentionState::RetentionState(const RetentionSpace& space, std::int64_t budget)
    : space_(space),
      profile_(space.end(), budget),
      patterns_(space.gaps.size(), kKeepThroughout),
      touches_(space.gaps.size()),
      slots_(space.end().index()),
      to_run_(space.end()),
      to_measure_(space.end()),
      saved_in_move_(space.gaps.size()),
      available_in_(space.bytes.size()),
      touched_in_(space.bytes.size()),
      alive_(space.bytes.size()) {
  begin();
  profile_.add({Slot(0), space.end() - 1}, space.fixed);
  for (const auto i : space.gaps.places()) {
    const auto& gap = space.gaps[i];
    if (gap.handed_over) {
      patterns_[i] = kKeepOnceReplayed;
      if (!gap.last) to_run_.insert(gap.end);
    } else if (!gap.last) {
      profile_.add({gap.begin + 1, gap.end - 1}, space.bytes[gap.value]);
    }
  }
  for (const auto slot : space.slots()) to_measure_.insert(slot);
  apply();
}

// ---- a move ---------------------------------------------------------------------------------------

void RetentionState::begin() {
  ++move_;
  ++work_;  // also of moves that change nothing: searches end
  changed_gaps_ = changed_slots_ = 0;
  saved_costs_.clear();
  profile_.begin();
  replay_time_before_ = replay_time_;
}

void RetentionState::keep(GapPlace gap, KeepPattern pattern) {
  const auto& what = space_.gaps[gap];
  if (what.handed_over) pattern = pattern.dropped_after(0);
  const auto old = patterns_[gap];
  if (what.forced || old == pattern) return;
  save(gap);
  patterns_[gap] = pattern;
  const auto& touches = touches_[gap];
  auto before = what.begin;
  for (std::size_t i = 0; i <= touches.size(); ++i) {
    const auto next = i < touches.size() ? touches[i] : what.end;
    if (old.keeps_after(i) != pattern.keeps_after(i)) {
      if (before.exists()) to_measure_.insert(before);
      if (next < space_.end()) to_run_.insert(next);
    }
    before = next;
  }
}

void RetentionState::apply() {
  to_run_.drain([this](Slot slot) { run_slot(slot); });
  for (std::size_t i = 0; i < changed_gaps_; ++i) update_range(saved_gaps_[i]);
  to_measure_.drain([this](Slot slot) { update_cost(slot); });
}

void RetentionState::undo() {
  profile_.undo();
  for (const auto& saved : saved_costs_) {
    auto& slot = slots_[saved.slot];
    slot.memory = saved.memory;
    slot.time = saved.time;
  }
  for (std::size_t i = 0; i < changed_slots_; ++i) {
    auto& saved = saved_slots_[i];
    slots_[saved.slot].ops.swap(saved.ops);
    slots_[saved.slot].gaps.swap(saved.gaps);
  }
  for (std::size_t i = 0; i < changed_gaps_; ++i) {
    auto& saved = saved_gaps_[i];
    patterns_[saved.gap] = saved.pattern;
    touches_[saved.gap].swap(saved.touches);
  }
  replay_time_ = replay_time_before_;
}

RetentionState::SavedGap& RetentionState::save(GapPlace gap) {
  if (changed_gaps_ == saved_gaps_.size()) saved_gaps_.emplace_back();
  auto& saved = saved_gaps_[changed_gaps_];
  if (saved_in_move_[gap] == move_) return saved;
  saved_in_move_[gap] = move_;
  ++changed_gaps_;
  saved.gap = gap;
  saved.pattern = patterns_[gap];
  saved.touches.assign(touches_[gap].begin(), touches_[gap].end());
  return saved;
}

// The saved lists take the slot's, which is to get new ones.
void RetentionState::save(Slot slot, Replays& what) {
  if (changed_slots_ == saved_slots_.size()) saved_slots_.emplace_back();
  auto& saved = saved_slots_[changed_slots_++];
  saved.slot = slot;
  saved.ops.swap(what.ops);
  saved.gaps.swap(what.gaps);
}

// ---- gaps -----------------------------------------------------------------------------------------

// Whether the value is resident after this many touches of the gap.
bool RetentionState::stays(GapPlace gap, std::size_t touches) const {
  return space_.gaps[gap].forced ? !space_.gaps[gap].handed_over
                                 : patterns_[gap].keeps_after(touches);
}

bool RetentionState::used_again(GapPlace gap, std::size_t touches) const {
  return !space_.gaps[gap].last || touches < touches_[gap].size();
}

bool RetentionState::resident(GapPlace gap, Slot slot) const {
  std::size_t before = 0;
  for (const auto touch : touches_[gap]) before += touch < slot ? 1 : 0;
  return stays(gap, before);
}

void RetentionState::add_touch(GapPlace gap, Slot slot) {
  save(gap);
  auto& touches = touches_[gap];
  const auto place = std::lower_bound(touches.begin(), touches.end(), slot);
  const auto touch = static_cast<std::size_t>(place - touches.begin());
  touches.insert(place, slot);
  shift_later_touches({gap, touch, /*added=*/true});
}

void RetentionState::remove_touch(GapPlace gap, Slot slot) {
  save(gap);
  auto& touches = touches_[gap];
  const auto place = std::lower_bound(touches.begin(), touches.end(), slot);
  const auto touch = static_cast<std::size_t>(place - touches.begin());
  touches.erase(place);
  shift_later_touches({gap, touch, /*added=*/false});
}

// The touches behind it have another number now, and what the pattern says of them may change.
void RetentionState::shift_later_touches(const TouchChange& change) {
  const auto [gap, touch, added] = change;
  const auto& what = space_.gaps[gap];
  const auto& touches = touches_[gap];
  if (what.last) {  // the touch before it and the last one: is anything behind them?
    const auto previous = touch > 0 ? touches[touch - 1] : what.begin;
    if (previous.exists()) to_measure_.insert(previous);
    if (!touches.empty()) to_measure_.insert(touches.back());
  }
  for (auto i = added ? touch + 1 : touch; i <= touches.size(); ++i) {
    if (stays(gap, added ? i - 1 : i + 1) == stays(gap, i)) continue;
    const auto slot = i < touches.size() ? touches[i] : what.end;
    if (slot < space_.end()) to_run_.insert(slot);
    if (i > 0 && !(added && i == touch + 1)) to_measure_.insert(touches[i - 1]);
  }
}

// ---- what a slot runs -----------------------------------------------------------------------------

void RetentionState::run_slot(Slot slot) {
  ++visit_;
  ++work_;
  new_replays_.clear();
  new_gaps_.clear();
  for (const auto value : space_.touched_first[first_op(slot)]) need(value, slot);
  to_measure_.insert(slot);
  auto& what = slots_[slot];
  if (what.ops == new_replays_ && what.gaps == new_gaps_) return;
  if (what.gaps != new_gaps_) exchange_touches(slot);
  save(slot, what);
  what.ops.assign(new_replays_.begin(), new_replays_.end());
  what.gaps.assign(new_gaps_.begin(), new_gaps_.end());
}

// Depth first, without recursion: chains may be as long as the graph.
void RetentionState::need(ValuePlace value, Slot slot) {
  if (is_there(value, slot)) return;
  pending_.push_back({space_.writer[value], 0});
  while (!pending_.empty()) {
    auto& top = pending_.back();
    const auto reads = space_.reads[top.op];
    if (top.next_read == reads.size()) {
      const auto op = top.op;
      pending_.pop_back();
      replay(op, slot);
      continue;
    }
    const auto read = reads[top.next_read++];
    if (!is_there(read, slot)) pending_.push_back({space_.writer[read], 0});
  }
}

bool RetentionState::is_there(ValuePlace value, Slot slot) {
  if (available_in_[value] == visit_) return true;
  const auto gap = space_.gap_at(value, slot);
  if (!resident(gap, slot)) return false;
  available_in_[value] = visit_;
  touch(value, gap, slot);
  return true;
}

void RetentionState::replay(OpPlace op, Slot slot) {
  ++work_;
  new_replays_.push_back(op);
  for (const auto value : space_.writes[op]) {
    available_in_[value] = visit_;
    touch(value, space_.gap_at(value, slot), slot);
  }
}

// A use by the slot's first run ends the gap and is no touch.
void RetentionState::touch(ValuePlace value, GapPlace gap, Slot slot) {
  if (touched_in_[value] == visit_) return;
  touched_in_[value] = visit_;
  if (space_.gaps[gap].end != slot) new_gaps_.push_back(gap);
}

void RetentionState::exchange_touches(Slot slot) {
  const auto& old_gaps = slots_[slot].gaps;
  const auto value_of = [this](GapPlace gap) { return space_.gaps[gap].value; };
  ++visit_;
  for (const auto gap : new_gaps_) touched_in_[value_of(gap)] = visit_;
  for (const auto gap : old_gaps) {
    if (touched_in_[value_of(gap)] != visit_) remove_touch(gap, slot);
  }
  ++visit_;
  for (const auto gap : old_gaps) touched_in_[value_of(gap)] = visit_;
  for (const auto gap : new_gaps_) {
    if (touched_in_[value_of(gap)] != visit_) add_touch(gap, slot);
  }
}

// ---- what a slot costs ----------------------------------------------------------------------------

void RetentionState::update_cost(Slot slot) {
  auto& what = slots_[slot];
  const auto memory = what.memory;
  const auto time = what.time;
  measure_slot(slot);
  if (memory == what.memory && time == what.time) return;
  saved_costs_.push_back({slot, memory, time});
  replay_time_ += what.time - time;
  profile_.add({slot, slot}, what.memory - memory);
}

// From the last run of the slot back to the first: a value is live from where it is made to its last use.
void RetentionState::measure_slot(Slot slot) {
  auto& what = slots_[slot];
  live_ = 0;
  enter_live_after(slot);
  what.memory = memory_of_run(first_op(slot), slot);
  what.time = 0;
  for (auto op = what.ops.rbegin(); op != what.ops.rend(); ++op) {
    what.memory = std::max(what.memory, memory_of_run(*op, slot));
    what.time += space_.time_of_replay[*op];
  }
  forget_live(slot);
  work_ += 1 + static_cast<std::int64_t>(what.ops.size());
}

void RetentionState::enter_live_after(Slot slot) {
  const auto enter = [this](GapPlace gap, std::size_t touches) {
    if (!stays(gap, touches) || !used_again(gap, touches)) return;
    const auto value = space_.gaps[gap].value;
    alive_[value] = 1;
    live_ += space_.bytes[value];
  };
  for (const auto value : space_.touched_first[first_op(slot)])
    enter(space_.gap_at(value, slot) + 1, 0);
  for (const auto value : space_.writes[first_op(slot)]) enter(space_.first_gap[value], 0);
  for (const auto gap : slots_[slot].gaps) {
    std::size_t touches = 0;
    for (const auto touch : touches_[gap]) touches += touch <= slot ? 1 : 0;
    enter(gap, touches);
  }
}

std::int64_t RetentionState::memory_of_run(OpPlace op, Slot slot) {
  const bool first = first_slot(op) == slot;
  for (const auto value : first ? space_.touched_first[op] : space_.reads[op]) {
    if (alive_[value]) continue;
    alive_[value] = 1;
    live_ += space_.bytes[value];
  }
  auto memory = live_ + space_.workspace[op];
  for (const auto value : space_.writes[op]) {
    const auto bytes = space_.bytes[value];
    const bool second_copy = !first && held(value, slot);  // the first cannot be let go
    if (alive_[value] && !second_copy) {
      alive_[value] = 0;
      live_ -= bytes;
    } else {
      memory += bytes;
    }
  }
  if (first) {
    for (const auto value : space_.handed_over[op]) memory -= space_.bytes[value];
  }
  return memory;
}

bool RetentionState::held(ValuePlace value, Slot slot) const {
  return space_.ever_held[value] && space_.gaps[space_.gap_at(value, slot)].forced;
}

void RetentionState::forget_live(Slot slot) {
  for (const auto value : space_.touched_first[first_op(slot)]) alive_[value] = 0;
  for (const auto value : space_.writes[first_op(slot)]) alive_[value] = 0;
  for (const auto gap : slots_[slot].gaps) alive_[space_.gaps[gap].value] = 0;
}

// ---- what is live across slots --------------------------------------------------------------------

void RetentionState::add_range(SlotRange slots, std::int64_t bytes) {
  work_ += (profile_.add(slots, bytes) + 7) / 8;
}

// Between two touches a kept value is live in all slots; what a touched slot has is in its own memory.
// Goes through old and new touches together.
void RetentionState::update_range(const SavedGap& before) {
  const auto& what = space_.gaps[before.gap];
  const auto& old_touches = before.touches;
  const auto& new_touches = touches_[before.gap];
  const auto bytes = space_.bytes[what.value];
  const auto lives = [&](const std::vector<Slot>& touches, KeepPattern pattern, std::size_t i) {
    if (what.last && i >= touches.size()) return false;
    return what.forced ? !what.handed_over : pattern.keeps_after(i);
  };
  std::size_t i = 0;
  std::size_t j = 0;
  for (auto begin = what.begin;;) {
    const auto old_next = i < old_touches.size() ? old_touches[i] : what.end;
    const auto new_next = j < new_touches.size() ? new_touches[j] : what.end;
    const auto end = std::min(old_next, new_next);
    const bool lived = lives(old_touches, before.pattern, i);
    const bool live = lives(new_touches, patterns_[before.gap], j);
    if (lived != live) add_range({begin + 1, end - 1}, live ? bytes : -bytes);
    if (end == what.end) return;
    if (old_next < new_next && live) add_range({end, end}, bytes);
    if (new_next < old_next && lived) add_range({end, end}, -bytes);
    i += old_next == end ? 1 : 0;
    j += new_next == end ? 1 : 0;
    begin = end;
  }
}

std::vector<std::size_t> RetentionState::runs() const {
  std::vector<std::size_t> result;
  for (const auto slot : space_.slots()) {
    for (const auto op : slots_[slot].ops) result.push_back(op.index());
    result.push_back(slot.index());
  }
  return result;
}

}  // namespace remat::plan

#include "plan/retention_state.h"

#include <algorithm>
#include <utility>

namespace remat::plan {
namespace {

std::size_t at(Place place) { return static_cast<std::size_t>(place); }

constexpr std::size_t kTouchesTold = 3;  // of which a pattern has a bit

bool says_keep(KeepPattern pattern, std::size_t touches) {
  return ((pattern >> std::min(touches, kTouchesTold)) & 1) != 0;
}

}  // namespace

RetentionState::RetentionState(const RetentionSpace& space, std::int64_t budget)
    : space_(space),
      profile_(space.slots(), budget),
      patterns_(space.gaps.size(), kKeepThroughout),
      touches_(space.gaps.size()),
      slots_(at(space.slots())),
      to_run_(space.slots()),
      to_measure_(space.slots()),
      saved_in_move_(space.gaps.size(), 0),
      available_in_(at(space.values()), 0),
      touched_in_(at(space.values()), 0),
      alive_(at(space.values()), 0) {
  begin();
  profile_.add(0, space.slots() - 1, space.fixed);
  for (std::size_t i = 0; i < space.gaps.size(); ++i) {
    const auto& gap = space.gaps[i];
    if (gap.handed_over) {
      patterns_[i] = kKeepOnceReplayed;
      if (!gap.last) to_run_.insert(gap.end);
    } else if (!gap.last) {
      profile_.add(gap.begin + 1, gap.end - 1, space.bytes[at(gap.value)]);
    }
  }
  for (Place slot = 0; slot < space.slots(); ++slot) to_measure_.insert(slot);
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

void RetentionState::keep(Place gap, KeepPattern pattern) {
  const auto& what = space_.gaps[at(gap)];
  if (what.handed_over) pattern &= kKeepOnceReplayed;
  if (what.forced || patterns_[at(gap)] == pattern) return;
  save(gap);
  const auto changed = static_cast<KeepPattern>(patterns_[at(gap)] ^ pattern);
  patterns_[at(gap)] = pattern;
  const auto& touches = touches_[at(gap)];
  auto before = what.begin;
  for (std::size_t i = 0; i <= touches.size(); ++i) {
    const auto next = i < touches.size() ? touches[i] : what.end;
    if (says_keep(changed, i)) {
      if (before >= 0) to_measure_.insert(before);
      if (next < space_.slots()) to_run_.insert(next);
    }
    before = next;
  }
}

void RetentionState::apply() {
  to_run_.drain([this](Place slot) { run_slot(slot); });
  for (std::size_t i = 0; i < changed_gaps_; ++i) update_range(saved_gaps_[i]);
  to_measure_.drain([this](Place slot) { update_cost(slot); });
}

void RetentionState::undo() {
  profile_.undo();
  for (const auto& saved : saved_costs_) {
    auto& slot = slots_[at(saved.slot)];
    slot.memory = saved.memory;
    slot.replay_time = saved.replay_time;
  }
  for (std::size_t i = 0; i < changed_slots_; ++i) {
    auto& saved = saved_slots_[i];
    slots_[at(saved.slot)].replays.swap(saved.replays);
    slots_[at(saved.slot)].gaps.swap(saved.gaps);
  }
  for (std::size_t i = 0; i < changed_gaps_; ++i) {
    auto& saved = saved_gaps_[i];
    patterns_[at(saved.gap)] = saved.pattern;
    touches_[at(saved.gap)].swap(saved.touches);
  }
  replay_time_ = replay_time_before_;
}

RetentionState::SavedGap& RetentionState::save(Place gap) {
  if (changed_gaps_ == saved_gaps_.size()) saved_gaps_.emplace_back();
  auto& saved = saved_gaps_[changed_gaps_];
  if (saved_in_move_[at(gap)] == move_) return saved;
  saved_in_move_[at(gap)] = move_;
  ++changed_gaps_;
  saved.gap = gap;
  saved.pattern = patterns_[at(gap)];
  saved.touches.assign(touches_[at(gap)].begin(), touches_[at(gap)].end());
  return saved;
}

// The saved lists take the slot's, which is to get new ones.
void RetentionState::save(Place slot, Slot& what) {
  if (changed_slots_ == saved_slots_.size()) saved_slots_.emplace_back();
  auto& saved = saved_slots_[changed_slots_++];
  saved.slot = slot;
  saved.replays.swap(what.replays);
  saved.gaps.swap(what.gaps);
}

// ---- gaps -----------------------------------------------------------------------------------------

// Whether the value is resident after this many touches of the gap.
bool RetentionState::stays(Place gap, std::size_t touches) const {
  return space_.gaps[at(gap)].forced ? !space_.gaps[at(gap)].handed_over
                                     : says_keep(patterns_[at(gap)], touches);
}

bool RetentionState::used_again(Place gap, std::size_t touches) const {
  return !space_.gaps[at(gap)].last || touches < touches_[at(gap)].size();
}

bool RetentionState::resident(Place gap, Place slot) const {
  std::size_t before = 0;
  for (const auto touch : touches_[at(gap)]) before += touch < slot ? 1 : 0;
  return stays(gap, before);
}

void RetentionState::add_touch(Place gap, Place slot) {
  save(gap);
  auto& touches = touches_[at(gap)];
  const auto place = std::lower_bound(touches.begin(), touches.end(), slot);
  const auto index = static_cast<std::size_t>(place - touches.begin());
  touches.insert(place, slot);
  shift_later_touches(gap, index, index, index + 1);
}

void RetentionState::remove_touch(Place gap, Place slot) {
  save(gap);
  auto& touches = touches_[at(gap)];
  const auto place = std::lower_bound(touches.begin(), touches.end(), slot);
  const auto index = static_cast<std::size_t>(place - touches.begin());
  touches.erase(place);
  shift_later_touches(gap, index, index + 1, index);
}

// Touch `index` came or went: the touches behind it have another number now, and what the pattern says of
// them may change.
void RetentionState::shift_later_touches(Place gap, std::size_t index, std::size_t before,
                                         std::size_t after) {
  const auto& what = space_.gaps[at(gap)];
  const auto& touches = touches_[at(gap)];
  if (what.last) {  // the touch before it and the last one: is anything behind them?
    const auto previous = index > 0 ? touches[index - 1] : what.begin;
    if (previous >= 0) to_measure_.insert(previous);
    if (!touches.empty()) to_measure_.insert(touches.back());
  }
  const bool added = after > before;
  for (auto i = added ? index + 1 : index; i <= touches.size(); ++i, ++before, ++after) {
    if (stays(gap, before) == stays(gap, after)) continue;
    const auto slot = i < touches.size() ? touches[i] : what.end;
    if (slot < space_.slots()) to_run_.insert(slot);
    if (i > 0 && !(added && i == index + 1)) to_measure_.insert(touches[i - 1]);
  }
}

// ---- what a slot runs -----------------------------------------------------------------------------

void RetentionState::run_slot(Place slot) {
  ++visit_;
  ++work_;
  new_replays_.clear();
  new_gaps_.clear();
  for (const auto value : space_.touched_first[slot]) need(value, slot);
  to_measure_.insert(slot);
  auto& what = slots_[at(slot)];
  if (what.replays == new_replays_ && what.gaps == new_gaps_) return;
  if (what.gaps != new_gaps_) exchange_touches(slot);
  save(slot, what);
  what.replays.assign(new_replays_.begin(), new_replays_.end());
  what.gaps.assign(new_gaps_.begin(), new_gaps_.end());
}

// Depth first, without recursion: chains may be as long as the graph.
void RetentionState::need(Place value, Place slot) {
  if (is_there(value, slot)) return;
  pending_.push_back({space_.writer[at(value)], 0});
  while (!pending_.empty()) {
    auto& top = pending_.back();
    const auto reads = space_.reads[top.op];
    if (top.next_read == static_cast<Place>(reads.size())) {
      const auto op = top.op;
      pending_.pop_back();
      replay(op, slot);
      continue;
    }
    const auto read = reads[at(top.next_read++)];
    if (!is_there(read, slot)) pending_.push_back({space_.writer[at(read)], 0});
  }
}

bool RetentionState::is_there(Place value, Place slot) {
  if (available_in_[at(value)] == visit_) return true;
  const auto gap = space_.gap_at(value, slot);
  if (!resident(gap, slot)) return false;
  available_in_[at(value)] = visit_;
  touch(value, gap, slot);
  return true;
}

void RetentionState::replay(Place op, Place slot) {
  ++work_;
  new_replays_.push_back(op);
  for (const auto value : space_.writes[op]) {
    available_in_[at(value)] = visit_;
    touch(value, space_.gap_at(value, slot), slot);
  }
}

// A use by the slot's first run ends the gap and is no touch.
void RetentionState::touch(Place value, Place gap, Place slot) {
  if (touched_in_[at(value)] == visit_) return;
  touched_in_[at(value)] = visit_;
  if (space_.gaps[at(gap)].end != slot) new_gaps_.push_back(gap);
}

void RetentionState::exchange_touches(Place slot) {
  const auto& old_gaps = slots_[at(slot)].gaps;
  const auto value_of = [this](Place gap) { return at(space_.gaps[at(gap)].value); };
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

void RetentionState::update_cost(Place slot) {
  auto& what = slots_[at(slot)];
  const auto memory = what.memory;
  const auto time = what.replay_time;
  measure_slot(slot);
  if (memory == what.memory && time == what.replay_time) return;
  saved_costs_.push_back({slot, memory, time});
  replay_time_ += what.replay_time - time;
  profile_.add(slot, slot, what.memory - memory);
}

// From the last run of the slot back to the first: a value is live from where it is made to its last use.
void RetentionState::measure_slot(Place slot) {
  auto& what = slots_[at(slot)];
  live_ = 0;
  enter_live_after(slot);
  what.memory = memory_of_run(slot, slot);
  what.replay_time = 0;
  for (auto op = what.replays.rbegin(); op != what.replays.rend(); ++op) {
    what.memory = std::max(what.memory, memory_of_run(*op, slot));
    what.replay_time += space_.time_of_replay[at(*op)];
  }
  forget_live(slot);
  work_ += 1 + static_cast<std::int64_t>(what.replays.size());
}

void RetentionState::enter_live_after(Place slot) {
  const auto enter = [this](Place gap, std::size_t touches) {
    if (!stays(gap, touches) || !used_again(gap, touches)) return;
    const auto value = space_.gaps[at(gap)].value;
    alive_[at(value)] = 1;
    live_ += space_.bytes[at(value)];
  };
  for (const auto value : space_.touched_first[slot]) enter(space_.gap_at(value, slot) + 1, 0);
  for (const auto value : space_.writes[slot]) enter(space_.first_gap[at(value)], 0);
  for (const auto gap : slots_[at(slot)].gaps) {
    std::size_t touches = 0;
    for (const auto touch : touches_[at(gap)]) touches += touch <= slot ? 1 : 0;
    enter(gap, touches);
  }
}

std::int64_t RetentionState::memory_of_run(Place op, Place slot) {
  const bool first = op == slot;
  for (const auto value : first ? space_.touched_first[op] : space_.reads[op]) {
    if (alive_[at(value)]) continue;
    alive_[at(value)] = 1;
    live_ += space_.bytes[at(value)];
  }
  auto memory = live_ + space_.workspace[at(op)];
  for (const auto value : space_.writes[op]) {
    const auto bytes = space_.bytes[at(value)];
    if (!first && held(value, slot)) {
      memory += bytes;  // a second copy: the first cannot be let go
    } else if (alive_[at(value)]) {
      alive_[at(value)] = 0;
      live_ -= bytes;
    } else {
      memory += bytes;
    }
  }
  if (first) {
    for (const auto value : space_.handed_over[op]) memory -= space_.bytes[at(value)];
  }
  return memory;
}

bool RetentionState::held(Place value, Place slot) const {
  return space_.ever_held[at(value)] && space_.gaps[at(space_.gap_at(value, slot))].forced;
}

void RetentionState::forget_live(Place slot) {
  for (const auto value : space_.touched_first[slot]) alive_[at(value)] = 0;
  for (const auto value : space_.writes[slot]) alive_[at(value)] = 0;
  for (const auto gap : slots_[at(slot)].gaps) alive_[at(space_.gaps[at(gap)].value)] = 0;
}

// ---- what is live across slots --------------------------------------------------------------------

void RetentionState::add_range(Place first, Place last, std::int64_t bytes) {
  work_ += (profile_.add(first, last, bytes) + 7) / 8;
}

// Between two touches a kept value is live in all slots; what a touched slot has is in its own memory.
// Goes through old and new touches together.
void RetentionState::update_range(const SavedGap& before) {
  const auto& what = space_.gaps[at(before.gap)];
  const auto& old_touches = before.touches;
  const auto& new_touches = touches_[at(before.gap)];
  const auto bytes = space_.bytes[at(what.value)];
  const auto lives = [&](const std::vector<Place>& touches, KeepPattern pattern, std::size_t i) {
    if (what.last && i >= touches.size()) return false;
    return what.forced ? !what.handed_over : says_keep(pattern, i);
  };
  std::size_t i = 0, j = 0;
  for (auto begin = what.begin;;) {
    const auto old_next = i < old_touches.size() ? old_touches[i] : what.end;
    const auto new_next = j < new_touches.size() ? new_touches[j] : what.end;
    const auto end = std::min(old_next, new_next);
    const bool lived = lives(old_touches, before.pattern, i);
    const bool live = lives(new_touches, patterns_[at(before.gap)], j);
    if (lived != live) add_range(begin + 1, end - 1, live ? bytes : -bytes);
    if (end == what.end) return;
    if (old_next < new_next && live) add_range(end, end, bytes);
    if (new_next < old_next && lived) add_range(end, end, -bytes);
    i += old_next == end ? 1 : 0;
    j += new_next == end ? 1 : 0;
    begin = end;
  }
}

std::vector<std::size_t> RetentionState::runs() const {
  std::vector<std::size_t> result;
  for (Place slot = 0; slot < space_.slots(); ++slot) {
    for (const auto op : slots_[at(slot)].replays) result.push_back(at(op));
    result.push_back(at(slot));
  }
  return result;
}

}  // namespace remat::plan

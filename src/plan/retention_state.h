// A choice of what is kept in every gap, and what follows from it: replays, memory, time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plan/live_profile.h"
#include "plan/retention_space.h"
#include "plan/slot_set.h"

namespace remat::plan {

/// What happens to a value in a gap. Bit 0: it stays resident as the gap begins. Bit c: it stays after
/// its c-th use by replays in the gap (bit 3: the third and all later ones). Where it is needed and not
/// resident, it is made again.
using KeepPattern = std::uint8_t;

constexpr KeepPattern kDropAlways = 0b0000;  ///< made again for each use
constexpr KeepPattern kKeepToFirstReplay = 0b0001;
constexpr KeepPattern kKeepOnceReplayed = 0b1110;  ///< dropped at first
constexpr KeepPattern kKeepThroughout = 0b1111;
constexpr KeepPattern kPatterns = 16;

/// Changes come in moves: begin(), any number of keep(), apply(); undo() takes the move back. The cost of
/// a move is that of the slots it changes, not of the step.
///
/// Replays are made in the slot in which they are needed, depth first. What is kept but not used again
/// before it is made again or the step ends does not count as live, but for outputs that are kept while
/// their op runs again for another output: these count until then.
class RetentionState {
 public:
  /// Everything is kept. `space` must outlive this.
  RetentionState(const RetentionSpace& space, std::int64_t budget);

  void begin();
  /// Decides a gap; what cannot be decided (Gap::forced, Gap::handed_over) stays as it is.
  void keep(Place gap, KeepPattern pattern);
  bool changed() const { return changed_gaps_ > 0; }
  void apply();
  void undo();

  std::int64_t budget() const { return profile_.budget(); }

  KeepPattern pattern(Place gap) const { return patterns_[static_cast<std::size_t>(gap)]; }
  const std::vector<KeepPattern>& patterns() const { return patterns_; }

  std::int64_t replay_time() const { return replay_time_; }  ///< ns, all replays
  std::int64_t excess() const {
    return profile_.excess();
  }  ///< bytes above the budget, summed over slots
  std::int64_t peak() const { return profile_.peak(); }
  std::int64_t work() const { return work_; }  ///< ops simulated so far

  /// All runs, in order: places of ops.
  std::vector<std::size_t> runs() const;

 private:
  struct Slot {
    std::vector<Place> replays;  // ops
    std::vector<Place> gaps;     // gaps in which replays of this slot touch a value
    std::int64_t memory = 0;     // most of what the slot's own ops touch
    std::int64_t replay_time = 0;
  };
  struct SavedGap {
    Place gap = 0;
    KeepPattern pattern = 0;
    std::vector<Place> touches;
  };
  struct SavedSlot {
    Place slot = 0;
    std::vector<Place> replays;
    std::vector<Place> gaps;
  };
  struct SavedCost {
    Place slot = 0;
    std::int64_t memory = 0;
    std::int64_t replay_time = 0;
  };

  bool stays(Place gap, std::size_t touches) const;
  bool used_again(Place gap, std::size_t touches) const;
  bool resident(Place gap, Place slot) const;

  // what a slot runs
  void run_slot(Place slot);
  void need(Place value, Place slot);
  bool is_there(Place value, Place slot);
  void replay(Place op, Place slot);
  void touch(Place value, Place gap, Place slot);
  void exchange_touches(Place slot);
  void add_touch(Place gap, Place slot);
  void remove_touch(Place gap, Place slot);
  void shift_later_touches(Place gap, std::size_t from, std::size_t before, std::size_t after);

  // what a slot costs
  void measure_slot(Place slot);
  void enter_live_after(Place slot);
  std::int64_t memory_of_run(Place op, Place slot);
  bool held(Place value, Place slot) const;
  void forget_live(Place slot);
  void update_cost(Place slot);

  // what is live across slots
  void update_range(const SavedGap& before);
  void add_range(Place first, Place last, std::int64_t bytes);

  SavedGap& save(Place gap);
  void save(Place slot, Slot& what);

  const RetentionSpace& space_;
  LiveProfile profile_;
  std::vector<KeepPattern> patterns_;
  std::vector<std::vector<Place>>
      touches_;  // of each gap: slots whose replays use the value, in order
  std::vector<Slot> slots_;
  std::int64_t replay_time_ = 0;
  std::int64_t work_ = 0;

  // the move in progress; the lists are kept to be filled again
  SlotSet to_run_;
  SlotSet to_measure_;
  std::vector<SavedGap> saved_gaps_;
  std::vector<SavedSlot> saved_slots_;
  std::vector<SavedCost> saved_costs_;
  std::vector<std::int64_t> saved_in_move_;  // of each gap: the last move that saved it
  std::size_t changed_gaps_ = 0;
  std::size_t changed_slots_ = 0;
  std::int64_t move_ = 0;
  std::int64_t replay_time_before_ = 0;

  // one slot at work
  struct Pending {
    Place op = 0;
    Place next_read = 0;
  };
  std::vector<Pending> pending_;
  std::vector<Place> new_replays_;
  std::vector<Place> new_gaps_;
  std::vector<std::int64_t> available_in_;  // of each value: the last visit that had it
  std::vector<std::int64_t> touched_in_;
  std::int64_t visit_ = 0;
  std::vector<char> alive_;
  std::int64_t live_ = 0;
};

}  // namespace remat::plan

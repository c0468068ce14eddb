// A choice of what is kept in every gap, and what follows from it: replays, memory, time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plan/live_profile.h"
#include "plan/places.h"
#include "plan/retention_space.h"
#include "plan/slot_set.h"

namespace remat::plan {

/// What happens to a value in a gap. Bit 0: it stays resident as the gap begins. Bit c: it stays after
/// its c-th use by replays in the gap (bit 3: the third and all later ones). Where it is needed and not
/// resident, it is made again.
class KeepPattern {
 public:
  constexpr KeepPattern() = default;
  constexpr explicit KeepPattern(unsigned bits) : bits_(static_cast<std::uint8_t>(bits)) {}

  constexpr bool keeps_after(std::size_t touches) const {
    return ((bits_ >> bit(touches)) & 1) != 0;
  }
  constexpr KeepPattern dropped_after(std::size_t touches) const {
    return KeepPattern(bits_ & ~(1U << bit(touches)));
  }
  friend constexpr bool operator==(KeepPattern a, KeepPattern b) = default;

 private:
  static constexpr std::size_t bit(std::size_t touches) { return touches < 3 ? touches : 3; }

  std::uint8_t bits_ = 0;
};

constexpr unsigned kPatterns = 16;
constexpr KeepPattern kDropAlways{0b0000U};  ///< made again for each use
constexpr KeepPattern kKeepToFirstReplay{0b0001U};
constexpr KeepPattern kKeepOnceReplayed{0b1110U};  ///< dropped at first
constexpr KeepPattern kKeepThroughout{0b1111U};

using Patterns = ByPlace<GapPlace, KeepPattern>;

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
  void keep(GapPlace gap, KeepPattern pattern);
  bool changed() const { return changed_gaps_ > 0; }
  void apply();
  void undo();

  std::int64_t budget() const { return profile_.budget(); }

  KeepPattern pattern(GapPlace gap) const { return patterns_[gap]; }
  const Patterns& patterns() const { return patterns_; }

  std::int64_t replay_time() const { return replay_time_; }  ///< ns, all replays
  std::int64_t excess() const {
    return profile_.excess();
  }  ///< bytes above the budget, summed over slots
  std::int64_t peak() const { return profile_.peak(); }
  std::int64_t work() const { return work_; }  ///< ops simulated so far

  /// All runs, in order: places of ops.
  std::vector<std::size_t> runs() const;

 private:
  // What a slot runs before its op, and what it costs.
  struct Replays {
    std::vector<OpPlace> ops;
    std::vector<GapPlace> gaps;  // in which these touch a value
    std::int64_t memory = 0;     // most of what the slot's own ops touch
    std::int64_t time = 0;
  };
  struct SavedGap {
    GapPlace gap;
    KeepPattern pattern;
    std::vector<Slot> touches;
  };
  struct SavedSlot {
    Slot slot;
    std::vector<OpPlace> ops;
    std::vector<GapPlace> gaps;
  };
  struct SavedCost {
    Slot slot;
    std::int64_t memory = 0;
    std::int64_t time = 0;
  };
  // One touch of a gap more than before, or one less: number `touch`.
  struct TouchChange {
    GapPlace gap;
    std::size_t touch = 0;
    bool added = false;
  };

  bool stays(GapPlace gap, std::size_t touches) const;
  bool used_again(GapPlace gap, std::size_t touches) const;
  bool resident(GapPlace gap, Slot slot) const;

  // what a slot runs
  void run_slot(Slot slot);
  void need(ValuePlace value, Slot slot);
  bool is_there(ValuePlace value, Slot slot);
  void replay(OpPlace op, Slot slot);
  void touch(ValuePlace value, GapPlace gap, Slot slot);
  void exchange_touches(Slot slot);
  void add_touch(GapPlace gap, Slot slot);
  void remove_touch(GapPlace gap, Slot slot);
  void shift_later_touches(const TouchChange& change);

  // what a slot costs
  void measure_slot(Slot slot);
  void enter_live_after(Slot slot);
  std::int64_t memory_of_run(OpPlace op, Slot slot);
  bool held(ValuePlace value, Slot slot) const;
  void forget_live(Slot slot);
  void update_cost(Slot slot);

  // what is live across slots
  void update_range(const SavedGap& before);
  void add_range(SlotRange slots, std::int64_t bytes);

  SavedGap& save(GapPlace gap);
  void save(Slot slot, Replays& what);

  const RetentionSpace& space_;
  LiveProfile profile_;
  Patterns patterns_;
  ByPlace<GapPlace, std::vector<Slot>> touches_;  // slots whose replays use the value, in order
  ByPlace<Slot, Replays> slots_;
  std::int64_t replay_time_ = 0;
  std::int64_t work_ = 0;

  // the move in progress; the lists are kept to be filled again
  SlotSet to_run_;
  SlotSet to_measure_;
  std::vector<SavedGap> saved_gaps_;
  std::vector<SavedSlot> saved_slots_;
  std::vector<SavedCost> saved_costs_;
  ByPlace<GapPlace, std::int64_t> saved_in_move_;  // the last move that saved it
  std::size_t changed_gaps_ = 0;
  std::size_t changed_slots_ = 0;
  std::int64_t move_ = 0;
  std::int64_t replay_time_before_ = 0;

  // one slot at work
  struct Pending {
    OpPlace op;
    std::size_t next_read = 0;
  };
  std::vector<Pending> pending_;
  std::vector<OpPlace> new_replays_;
  std::vector<GapPlace> new_gaps_;
  ByPlace<ValuePlace, std::int64_t> available_in_;  // the last visit that had it
  ByPlace<ValuePlace, std::int64_t> touched_in_;
  std::int64_t visit_ = 0;
  ByPlace<ValuePlace, char> alive_;
  std::int64_t live_ = 0;
};

}  // namespace remat::plan

// Memory over the slots of a step, and by how much it passes a budget.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plan/places.h"

namespace remat::plan {

/// The slots from `first` to `last`; none if first > last.
struct SlotRange {
  Slot first;
  Slot last;
};

/// Live bytes of each slot. Slots lie in blocks, so that adding to a range costs little where the
/// budget is far.
class LiveProfile {
 public:
  /// For the slots before `end`.
  LiveProfile(Slot end, std::int64_t budget);

  /// From here on, undo() takes back what add() does.
  void begin();
  void undo();

  /// Returns how many blocks it visited.
  std::int64_t add(SlotRange slots, std::int64_t bytes);

  std::int64_t budget() const { return budget_; }

  /// The sum over the slots of what passes the budget.
  std::int64_t excess() const { return excess_; }
  std::int64_t peak() const;

 private:
  static constexpr std::size_t kBlock = 32;

  struct Block {
    std::int64_t added = 0;    // to all of its slots
    std::int64_t ceiling = 0;  // no slot has more, `added` apart
    std::int64_t excess = 0;
  };
  using BlockNumber = PlaceOf<Block>;

  // What add() added to slots of one block.
  struct Addition {
    SlotRange slots;
    std::int64_t bytes = 0;
  };
  struct SavedBlock {
    BlockNumber block;
    Block what;
  };

  static BlockNumber block_of(Slot slot) { return BlockNumber(slot.index() / kBlock); }
  static Slot first_of(BlockNumber block) { return Slot(block.index() * kBlock); }

  void add_within(BlockNumber block, const Addition& addition);
  void add_to_whole(BlockNumber block, std::int64_t bytes);
  void measure(Block& what, BlockNumber block);
  Block& saved(BlockNumber block);

  std::int64_t budget_;
  std::int64_t excess_ = 0;
  ByPlace<Slot, std::int64_t> live_;  // without what was added to whole blocks
  ByPlace<BlockNumber, Block> blocks_;

  std::vector<Addition> additions_;  // to live_ since begin()
  std::vector<SavedBlock> saved_blocks_;
  ByPlace<BlockNumber, std::int64_t> saved_in_;  // the last begin() after which it was saved
  std::int64_t begins_ = 0;
  std::int64_t excess_before_ = 0;
};

}  // namespace remat::plan

// Memory over the slots of a step, and by how much it passes a budget.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/retention_space.h"

namespace remat::plan {

/// Live bytes of each slot. Slots lie in blocks, so that adding to a range costs little where the
/// budget is far.
class LiveProfile {
 public:
  LiveProfile(Place slots, std::int64_t budget);

  /// From here on, undo() takes back what add() does.
  void begin();
  void undo();

  /// Adds to the slots [first, last]; nothing if first > last. Returns how many blocks it visited.
  std::int64_t add(Place first, Place last, std::int64_t bytes);

  std::int64_t budget() const { return budget_; }

  /// The sum over the slots of what passes the budget.
  std::int64_t excess() const { return excess_; }
  std::int64_t peak() const;

 private:
  static constexpr Place kBlock = 32;

  struct Block {
    std::int64_t added = 0;    // to all of its slots
    std::int64_t ceiling = 0;  // no slot has more, `added` apart
    std::int64_t excess = 0;
  };

  void add_within(Place block, Place first, Place last, std::int64_t bytes);
  void add_to_whole(Place block, std::int64_t bytes);
  void measure(Block& what, Place block);
  Block& saved(Place block);

  struct Range {
    Place first = 0;
    Place last = 0;
    std::int64_t bytes = 0;
  };
  struct SavedBlock {
    Place block = 0;
    Block what;
  };

  std::int64_t budget_;
  std::int64_t excess_ = 0;
  std::vector<std::int64_t> live_;  // without what was added to whole blocks
  std::vector<Block> blocks_;

  std::vector<Range> ranges_;  // added to live_ since begin()
  std::vector<SavedBlock> saved_blocks_;
  std::vector<std::int64_t> saved_in_;  // of each block: the last begin() after which it was saved
  std::int64_t begins_ = 0;
  std::int64_t excess_before_ = 0;
};

}  // namespace remat::plan

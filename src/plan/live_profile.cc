#include "plan/live_profile.h"

#include <algorithm>
#include <limits>

namespace remat::plan {

LiveProfile::LiveProfile(Slot end, std::int64_t budget)
    : budget_(budget),
      live_((end.index() + kBlock - 1) / kBlock * kBlock),
      blocks_((end.index() + kBlock - 1) / kBlock),
      saved_in_(blocks_.size()) {
  // Slots that only fill the last block never count.
  for (auto slot = end; live_.has(slot); ++slot) {
    live_[slot] = std::numeric_limits<std::int64_t>::min() / 4;
  }
}

void LiveProfile::begin() {
  ++begins_;
  additions_.clear();
  saved_blocks_.clear();
  excess_before_ = excess_;
}

void LiveProfile::undo() {
  for (const auto& [slots, bytes] : additions_) {
    for (auto slot = slots.first; slot <= slots.last; ++slot) live_[slot] -= bytes;
  }
  for (const auto& saved : saved_blocks_) blocks_[saved.block] = saved.what;
  excess_ = excess_before_;
}

LiveProfile::Block& LiveProfile::saved(BlockNumber block) {
  if (saved_in_[block] != begins_) {
    saved_in_[block] = begins_;
    saved_blocks_.push_back({block, blocks_[block]});
  }
  return blocks_[block];
}

std::int64_t LiveProfile::add(SlotRange slots, std::int64_t bytes) {
  if (slots.first > slots.last) return 0;
  const auto first = block_of(slots.first);
  const auto last = block_of(slots.last);
  if (first == last) {
    add_within(first, {slots, bytes});
    return 1;
  }
  add_within(first, {{slots.first, first_of(first + 1) - 1}, bytes});
  for (auto block = first + 1; block < last; ++block) add_to_whole(block, bytes);
  add_within(last, {{first_of(last), slots.last}, bytes});
  return last - first + 1;
}

std::int64_t LiveProfile::peak() const {
  std::int64_t peak = 0;
  for (const auto slot : live_.places()) {
    peak = std::max(peak, live_[slot] + blocks_[block_of(slot)].added);
  }
  return peak;
}

void LiveProfile::add_within(BlockNumber block, const Addition& addition) {
  auto& what = saved(block);
  additions_.push_back(addition);
  const auto allowed = budget_ - what.added;
  std::int64_t change = 0;
  for (auto slot = addition.slots.first; slot <= addition.slots.last; ++slot) {
    const auto before = live_[slot];
    const auto after = before + addition.bytes;
    live_[slot] = after;
    change +=
        std::max<std::int64_t>(0, after - allowed) - std::max<std::int64_t>(0, before - allowed);
    what.ceiling = std::max(what.ceiling, after);
  }
  what.excess += change;
  excess_ += change;
}

void LiveProfile::add_to_whole(BlockNumber block, std::int64_t bytes) {
  auto& what = saved(block);
  const auto before = what.ceiling + what.added;
  what.added += bytes;
  if (std::max(before, before + bytes) > budget_) measure(what, block);
}

void LiveProfile::measure(Block& what, BlockNumber block) {
  const auto allowed = budget_ - what.added;
  auto peak = live_[first_of(block)];
  std::int64_t excess = 0;
  for (auto slot = first_of(block); slot < first_of(block + 1); ++slot) {
    peak = std::max(peak, live_[slot]);
    excess += std::max<std::int64_t>(0, live_[slot] - allowed);
  }
  excess_ += excess - what.excess;
  what.ceiling = peak;
  what.excess = excess;
}

}  // namespace remat::plan

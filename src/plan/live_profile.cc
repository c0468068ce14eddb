#include "plan/live_profile.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace remat::plan {
namespace {
std::size_t at(Place place) { return static_cast<std::size_t>(place); }
}  // namespace

LiveProfile::LiveProfile(Place slots, std::int64_t budget)
    : budget_(budget),
      live_(at((slots + kBlock - 1) / kBlock * kBlock), 0),
      blocks_(at((slots + kBlock - 1) / kBlock)),
      saved_in_(blocks_.size(), 0) {
  // Slots that only fill the last block never count.
  std::fill(live_.begin() + slots, live_.end(), std::numeric_limits<std::int64_t>::min() / 4);
}

void LiveProfile::begin() {
  ++begins_;
  ranges_.clear();
  saved_blocks_.clear();
  excess_before_ = excess_;
}

void LiveProfile::undo() {
  for (const auto& range : ranges_) {
    for (auto slot = range.first; slot <= range.last; ++slot) live_[at(slot)] -= range.bytes;
  }
  for (const auto& saved : saved_blocks_) blocks_[at(saved.block)] = saved.what;
  excess_ = excess_before_;
}

LiveProfile::Block& LiveProfile::saved(Place block) {
  if (saved_in_[at(block)] != begins_) {
    saved_in_[at(block)] = begins_;
    saved_blocks_.push_back({block, blocks_[at(block)]});
  }
  return blocks_[at(block)];
}

std::int64_t LiveProfile::add(Place first, Place last, std::int64_t bytes) {
  if (first > last) return 0;
  const auto first_block = first / kBlock;
  const auto last_block = last / kBlock;
  if (first_block == last_block) {
    add_within(first_block, first, last, bytes);
    return 1;
  }
  add_within(first_block, first, (first_block + 1) * kBlock - 1, bytes);
  for (auto block = first_block + 1; block < last_block; ++block) add_to_whole(block, bytes);
  add_within(last_block, last_block * kBlock, last, bytes);
  return last_block - first_block + 1;
}

std::int64_t LiveProfile::peak() const {
  std::int64_t peak = 0;
  for (std::size_t slot = 0; slot < live_.size(); ++slot) {
    peak = std::max(peak, live_[slot] + blocks_[slot / kBlock].added);
  }
  return peak;
}

void LiveProfile::add_within(Place block, Place first, Place last, std::int64_t bytes) {
  auto& what = saved(block);
  ranges_.push_back({first, last, bytes});
  const auto allowed = budget_ - what.added;
  std::int64_t change = 0;
  for (auto slot = first; slot <= last; ++slot) {
    const auto before = live_[at(slot)];
    const auto after = before + bytes;
    live_[at(slot)] = after;
    change +=
        std::max<std::int64_t>(0, after - allowed) - std::max<std::int64_t>(0, before - allowed);
    what.ceiling = std::max(what.ceiling, after);
  }
  what.excess += change;
  excess_ += change;
}

void LiveProfile::add_to_whole(Place block, std::int64_t bytes) {
  auto& what = saved(block);
  const auto before = what.ceiling + what.added;
  what.added += bytes;
  if (std::max(before, before + bytes) > budget_) measure(what, block);
}

void LiveProfile::measure(Block& what, Place block) {
  const auto* live = live_.data() + block * kBlock;
  const auto allowed = budget_ - what.added;
  auto peak = live[0];
  std::int64_t excess = 0;
  for (Place i = 0; i < kBlock; ++i) {
    peak = std::max(peak, live[i]);
    excess += std::max<std::int64_t>(0, live[i] - allowed);
  }
  excess_ += excess - what.excess;
  what.ceiling = peak;
  what.excess = excess;
}

}  // namespace remat::plan

#include "tape/tape_group.h"

#include <algorithm>

#include "tape/tape.h"

namespace remat::tape {
namespace {

// So many steps at once have records without new memory.
constexpr std::size_t kSpareRecords = 4;

}  // namespace

TapeGroup::TapeGroup() { spare_.reserve(kSpareRecords); }

void TapeGroup::join(Tape& tape) {
  const std::lock_guard<std::mutex> lock(mutex_);
  tapes_.push_back(&tape);
}

void TapeGroup::leave(Tape& tape) {
  const std::lock_guard<std::mutex> lock(mutex_);
  tapes_.erase(std::remove(tapes_.begin(), tapes_.end(), &tape), tapes_.end());
}

bool TapeGroup::make_room(const Tape& asking, const std::function<bool()>& is_enough) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Tape* const tape : tapes_) {
    if (tape != &asking && tape->make_room(is_enough)) return true;
  }
  return false;
}

StepRecord TapeGroup::empty_record() {
  const std::lock_guard<std::mutex> lock(spare_mutex_);
  if (spare_.empty()) return {};
  StepRecord record = std::move(spare_.back());
  spare_.pop_back();
  return record;
}

void TapeGroup::take_back(StepRecord record) noexcept {
  record.clear();
  const std::lock_guard<std::mutex> lock(spare_mutex_);
  if (spare_.size() < kSpareRecords) spare_.push_back(std::move(record));
}

}  // namespace remat::tape

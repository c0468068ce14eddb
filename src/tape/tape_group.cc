#include "tape/tape_group.h"

#include <algorithm>

#include "tape/tape.h"

namespace remat::tape {

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

}  // namespace remat::tape

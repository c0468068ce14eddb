// A set of slots, emptied from the first on.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "plan/places.h"

namespace remat::plan {

class SlotSet {
 public:
  /// For the slots before `end`.
  explicit SlotSet(Slot end) : words_(end.index() / 64 + 1) {}

  void insert(Slot slot) {
    const auto word = slot.index() / 64;
    words_[word] |= std::uint64_t{1} << (slot.index() % 64);
    if (word < first_word_) first_word_ = word;
  }

  /// Calls `visit(slot)` for each slot, in order, and takes it out; `visit` may insert later ones.
  template <class Visit>
  void drain(Visit visit) {
    for (auto word = first_word_; word < words_.size(); ++word) {
      while (words_[word] != 0) {
        const auto bit = static_cast<std::size_t>(std::countr_zero(words_[word]));
        words_[word] &= words_[word] - 1;
        visit(Slot(word * 64 + bit));
      }
    }
    first_word_ = words_.size();
  }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t first_word_ = words_.size();
};

}  // namespace remat::plan

// Flat arrays of what a step leaves behind, addressed by index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace remat::tape {

template <class Index>
constexpr std::size_t at_place(Index index) {
  return static_cast<std::size_t>(index);
}

template <class Index, class Element>
class Arena {
 public:
  Index add(Element element) {
    elements_.push_back(std::move(element));
    return static_cast<Index>(elements_.size() - 1);
  }
  Element& operator[](Index index) { return elements_[at_place(index)]; }
  const Element& operator[](Index index) const { return elements_[at_place(index)]; }
  std::int32_t size() const { return static_cast<std::int32_t>(elements_.size()); }
  Index next() const { return static_cast<Index>(elements_.size()); }
  void truncate(std::int32_t size) { elements_.erase(elements_.begin() + size, elements_.end()); }
  void clear() { elements_.clear(); }
  Element& back() { return elements_.back(); }
  auto begin() { return elements_.begin(); }
  auto end() { return elements_.end(); }
  auto begin() const { return elements_.begin(); }
  auto end() const { return elements_.end(); }

 private:
  std::vector<Element> elements_;
};

/// An arena for steps that are like the one before. Cleared, it still has what that one wrote, and where the
/// next element is to be the same, it is kept rather than written anew.
template <class Index, class Element>
class StandingArena {
 public:
  Index add(Element element) {
    if (at_place(size_) < elements_.size()) {
      elements_[at_place(size_)] = std::move(element);
    } else {
      elements_.push_back(std::move(element));
    }
    return static_cast<Index>(size_++);
  }
  /// What the step before wrote in the place of the next element; nullptr if it had fewer.
  const Element* ahead() const { return size_ < before_ ? &elements_[at_place(size_)] : nullptr; }
  bool has_ahead(std::int32_t count) const { return size_ + count <= before_; }
  /// The next elements are those that are there.
  Index keep(std::int32_t count = 1) {
    size_ += count;
    return static_cast<Index>(size_ - count);
  }

  Element& operator[](Index index) { return elements_[at_place(index)]; }
  const Element& operator[](Index index) const { return elements_[at_place(index)]; }
  const Element* data() const { return elements_.data(); }
  std::int32_t size() const { return size_; }
  Index next() const { return static_cast<Index>(size_); }
  void truncate(std::int32_t size) { size_ = size; }
  void clear() { before_ = std::exchange(size_, 0); }
  auto begin() const { return elements_.begin(); }
  auto end() const { return elements_.begin() + size_; }

 private:
  std::vector<Element> elements_;
  std::int32_t size_ = 0;    // of this step
  std::int32_t before_ = 0;  // of the one before
};

}  // namespace remat::tape

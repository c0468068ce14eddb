// Places of ops, slots, values and gaps in their lists: numbers that cannot be taken for one another.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace remat::plan {

/// The place of one `Of`, or none.
template <class Of>
class PlaceOf {
 public:
  constexpr PlaceOf() = default;
  constexpr explicit PlaceOf(std::size_t index) : number_(static_cast<std::int32_t>(index)) {}

  constexpr bool exists() const { return number_ >= 0; }
  constexpr std::size_t index() const { return static_cast<std::size_t>(number_); }
  constexpr std::int32_t number() const { return number_; }  ///< -1: none

  constexpr PlaceOf& operator++() {
    ++number_;
    return *this;
  }
  friend constexpr PlaceOf operator+(PlaceOf place, std::int32_t distance) {
    place.number_ += distance;
    return place;
  }
  friend constexpr PlaceOf operator-(PlaceOf place, std::int32_t distance) {
    return place + -distance;
  }
  friend constexpr std::int32_t operator-(PlaceOf a, PlaceOf b) { return a.number_ - b.number_; }
  friend constexpr bool operator==(PlaceOf a, PlaceOf b) = default;
  friend constexpr auto operator<=>(PlaceOf a, PlaceOf b) { return a.number_ <=> b.number_; }

 private:
  std::int32_t number_ = -1;
};

using OpPlace = PlaceOf<struct OfOps>;
using ValuePlace = PlaceOf<struct OfValues>;
using GapPlace = PlaceOf<struct OfGaps>;

/// Op i runs first in slot i, replays before it.
using Slot = PlaceOf<struct OfSlots>;
constexpr OpPlace first_op(Slot slot) { return OpPlace(slot.index()); }
constexpr Slot first_slot(OpPlace op) { return Slot(op.index()); }

template <class Of>
constexpr std::size_t index_of(PlaceOf<Of> place) {
  return place.index();
}
constexpr std::size_t index_of(std::int32_t place) { return static_cast<std::size_t>(place); }

/// The first `count` places, for a loop over them.
template <class P>
class Places {
 public:
  class Iterator {
   public:
    explicit Iterator(P place) : place_(place) {}
    P operator*() const { return place_; }
    Iterator& operator++() {
      ++place_;
      return *this;
    }
    friend bool operator==(Iterator, Iterator) = default;

   private:
    P place_;
  };

  explicit Places(std::size_t count) : end_(count) {}
  Iterator begin() const { return Iterator(P(0)); }
  Iterator end() const { return Iterator(end_); }

 private:
  P end_;
};

/// A vector with an element for each place of one kind.
template <class P, class T>
class ByPlace {
 public:
  ByPlace() = default;
  explicit ByPlace(std::size_t size, const T& value = T()) : items_(size, value) {}

  decltype(auto) operator[](P place) { return items_[place.index()]; }
  decltype(auto) operator[](P place) const { return items_[place.index()]; }

  void push_back(T item) { items_.push_back(std::move(item)); }
  std::size_t size() const { return items_.size(); }
  bool has(P place) const { return place.exists() && place.index() < size(); }
  Places<P> places() const { return Places<P>(size()); }

  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  friend bool operator==(const ByPlace&, const ByPlace&) = default;

 private:
  std::vector<T> items_;
};

/// A list of `T` for each place, all in one piece of memory.
template <class P, class T>
class ListsByPlace {
 public:
  void add(const std::vector<T>& list) {
    items_.insert(items_.end(), list.begin(), list.end());
    starts_.push_back(static_cast<std::int32_t>(items_.size()));
  }
  std::span<const T> operator[](P place) const {
    const auto i = index_of(place);
    return {items_.data() + starts_[i], items_.data() + starts_[i + 1]};
  }

 private:
  std::vector<T> items_;
  std::vector<std::int32_t> starts_ = {0};
};

}  // namespace remat::plan

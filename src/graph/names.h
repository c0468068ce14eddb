// The words that files use for enumerations.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include <remat/graph.h>

#include "base/check.h"
#include "base/json_cursor.h"

namespace remat::graph {

template <class Value>
struct Name {
  Value value;
  std::string_view text;
};

constexpr std::array kPhases = {Name<Phase>{Phase::kForward, "forward"},
                                Name<Phase>{Phase::kBackward, "backward"}};

constexpr std::array kRecomputes = {Name<Recompute>{Recompute::kPure, "pure"},
                                    Name<Recompute>{Recompute::kRng, "rng"},
                                    Name<Recompute>{Recompute::kNever, "never"}};

template <class Value, std::size_t N>
std::string_view name_of(const std::array<Name<Value>, N>& names, Value value) {
  for (const auto& name : names) {
    if (name.value == value) return name.text;
  }
  fail<InvalidArgument>("expected one of {} enumerators, found the number {}", N,
                        static_cast<int>(value));
}

template <class Value, std::size_t N>
Value read_name(const JsonCursor& cursor, const std::array<Name<Value>, N>& names) {
  const auto& text = cursor.text();
  std::string expected;
  for (const auto& name : names) {
    if (name.text == text) return name.value;
    expected += fmt::format("{}\"{}\"", expected.empty() ? "" : " or ", name.text);
  }
  cursor.reject(expected);
}

}  // namespace remat::graph

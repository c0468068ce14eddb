#include "graph/op_name.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace remat::graph {
namespace {

constexpr std::string_view kBetween = ": ";
constexpr std::size_t kMaxRanges = 4;
constexpr std::size_t kMaxDigits = 9;  // more are no place in a row

/// A part of a path, "block" and "12" of "block12".
struct Part {
  std::string word;
  std::string number;
  std::string text() const { return word + number; }
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

Part part_of(std::string_view text) {
  auto digits = text.size();
  while (digits > 0 && text.size() - digits < kMaxDigits && is_digit(text[digits - 1])) --digits;
  return {std::string(text.substr(0, digits)), std::string(text.substr(digits))};
}

/// Numbers are those of modules in a row: "3" in "blocks.3.mlp", and of what the root calls "block3" and has more
/// modules in it. Everywhere else they belong to the word.
std::vector<Part> parts_of(std::string_view place) {
  std::vector<Part> parts;
  for (bool more = true; more;) {
    const auto dot = place.find('.');
    more = dot != std::string_view::npos;
    Part part = part_of(place.substr(0, dot));
    const bool in_a_row = part.word.empty() || (parts.empty() && more);
    parts.push_back(in_a_row ? std::move(part) : Part{part.text(), ""});
    if (more) place.remove_prefix(dot + 1);
  }
  return parts;
}

std::string joined(const std::vector<Part>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ".") + part.text();
  return text;
}

// "0-3,7".
std::string ranges_of(const std::set<std::int64_t>& numbers) {
  std::vector<std::string> ranges;
  for (auto next = numbers.begin(); next != numbers.end();) {
    const auto first = *next;
    auto last = first;
    for (++next; next != numbers.end() && *next == last + 1; ++next) last = *next;
    ranges.push_back(first == last ? std::to_string(first) : fmt::format("{}-{}", first, last));
  }
  return ranges.size() > kMaxRanges ? "*" : fmt::format("{}", fmt::join(ranges, ","));
}

}  // namespace

std::string to_string(const OpName& name) {
  return name.place.empty() ? name.kind : fmt::format("{}{}{}", name.place, kBetween, name.kind);
}

OpName parse_op_name(std::string_view name) {
  const auto between = name.find(kBetween);
  if (between == std::string_view::npos) return {"", std::string(name)};
  return {std::string(name.substr(0, between)),
          std::string(name.substr(between + kBetween.size()))};
}

std::string layer_of(std::string_view place) {
  auto parts = parts_of(place);
  const auto number = std::find_if(parts.begin(), parts.end(),
                                   [](const Part& part) { return !part.number.empty(); });
  parts.erase(number == parts.end() ? parts.begin() + 1 : number + 1, parts.end());
  return joined(parts);
}

std::string without_numbers(std::string_view name) {
  OpName parsed = parse_op_name(name);
  auto parts = parts_of(parsed.place);
  for (auto& part : parts) {
    if (!part.number.empty()) part.number = "*";
  }
  parsed.place = joined(parts);
  return to_string(parsed);
}

std::string common_name(const std::vector<std::string>& names) {
  OpName common = parse_op_name(names.front());
  auto parts = parts_of(common.place);
  std::vector<std::set<std::int64_t>> numbers(parts.size());
  for (const auto& name : names) {
    const auto its = parts_of(parse_op_name(name).place);
    for (std::size_t i = 0; i < std::min(parts.size(), its.size()); ++i) {
      if (!its[i].number.empty()) numbers[i].insert(std::stoll(its[i].number));
    }
  }
  bool told = false;  // of one part of the path
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (numbers[i].size() < 2) continue;
    parts[i].number = std::exchange(told, true) ? "*" : ranges_of(numbers[i]);
  }
  common.place = joined(parts);
  return to_string(common);
}

}  // namespace remat::graph

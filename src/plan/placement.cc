#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <remat/placement.h>

#include "base/check.h"
#include "base/decimal.h"
#include "base/text.h"
#include "plan/rounded_sqrt.h"

namespace remat {
namespace {

using Rule = Placement::Rule;

// How each rule is written. One that takes a number has a name that ends in ':'.
struct Spelling {
  Rule rule;
  std::string_view name;
  std::string_view parameter;
};

constexpr std::array kSpellings = {
    Spelling{Rule::kNone, "none", ""}, Spelling{Rule::kFull, "full", ""},
    Spelling{Rule::kEvery, "every:", "K"}, Spelling{Rule::kSegments, "segments:", "N"},
    Spelling{Rule::kSqrt, "sqrt", ""}};

const Spelling& spelling_of(Rule rule) {
  const auto has_rule = [rule](const Spelling& spelling) { return spelling.rule == rule; };
  const auto found = std::find_if(kSpellings.begin(), kSpellings.end(), has_rule);
  REMAT_ASSERT(found != kSpellings.end());
  return *found;
}

// The number in `text` if it is this spelling with one, 0 if it is this spelling and has none.
std::optional<std::int64_t> match(const Spelling& spelling, std::string_view text) {
  if (spelling.parameter.empty()) {
    return text == spelling.name ? std::optional<std::int64_t>(0) : std::nullopt;
  }
  if (!text.starts_with(spelling.name)) {
    return std::nullopt;
  }
  const auto number = parse_decimal(text.substr(spelling.name.size()));
  return number.value_or(0) >= 1 ? number : std::nullopt;
}

// How many layers there are to place: a type of its own, not to be mistaken for a length or a count.
struct Layers {
  std::int64_t count;
};

std::vector<Segment> segments_of_length(std::int64_t length, Layers layers) {
  std::vector<Segment> segments;
  segments.reserve(static_cast<std::size_t>((layers.count - 1) / length + 1));
  for (std::int64_t begin = 0; begin < layers.count;) {
    const std::int64_t end = begin + std::min(length, layers.count - begin);
    segments.push_back({begin, end, true});
    begin = end;
  }
  return segments;
}

// The first `layers % count` segments are one layer longer than the others.
std::vector<Segment> equal_segments(std::int64_t count, Layers layers) {
  std::vector<Segment> segments;
  segments.reserve(static_cast<std::size_t>(count));
  std::int64_t begin = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t end = begin + layers.count / count + (i < layers.count % count ? 1 : 0);
    segments.push_back({begin, end, true});
    begin = end;
  }
  return segments;
}

std::vector<Segment> last_kept(std::vector<Segment> segments) {
  segments.back().checkpointed = false;
  return segments;
}

}  // namespace

Placement Placement::every(std::int64_t layers) {
  REMAT_CHECK(layers >= 1, InvalidArgument,
              "Placement::every: a segment needs at least 1 layer, got {}; use full to recompute "
              "every layer, none to recompute nothing",
              layers);
  return {Rule::kEvery, layers};
}

Placement Placement::segments_of(std::int64_t count) {
  REMAT_CHECK(count >= 1, InvalidArgument,
              "Placement::segments_of: expected at least 1 segment, got {}; use none to recompute "
              "nothing",
              count);
  return {Rule::kSegments, count};
}

Placement Placement::parse(std::string_view text) {
  for (const auto& spelling : kSpellings) {
    if (const auto number = match(spelling, text)) {
      return {spelling.rule, *number};
    }
  }
  fail<InvalidArgument>(
      "{} is not a placement: use {}, where K and N are whole numbers of at least 1, as in every:2",
      quote(text), forms());
}

std::string Placement::forms() {
  std::string forms;
  for (const auto& [rule, name, parameter] : kSpellings) {
    const bool last = rule == kSpellings.back().rule;
    forms += fmt::format("{}{}{}", forms.empty() ? "" : (last ? " or " : ", "), name, parameter);
  }
  return forms;
}

std::string Placement::to_string() const {
  const auto& spelling = spelling_of(rule_);
  return spelling.parameter.empty() ? std::string(spelling.name)
                                    : fmt::format("{}{}", spelling.name, parameter_);
}

std::vector<Segment> Placement::segments(std::int64_t layers) const {
  REMAT_CHECK(layers >= 1, InvalidArgument, "Placement {}: expected at least 1 layer, got {}",
              to_string(), layers);
  switch (rule_) {
    case Rule::kNone:
      return {{0, layers, false}};
    case Rule::kFull:
      return segments_of_length(1, Layers{layers});
    case Rule::kEvery:
      return last_kept(segments_of_length(parameter_, Layers{layers}));
    case Rule::kSegments:
      REMAT_CHECK(parameter_ <= layers, InvalidArgument,
                  "Placement {}: {} segments need at least as many layers, but there are {}; use "
                  "segments:{} or fewer, or full",
                  to_string(), parameter_, layers, layers);
      return last_kept(equal_segments(parameter_, Layers{layers}));
    case Rule::kSqrt:
      break;
  }
  return last_kept(equal_segments(plan::rounded_sqrt(layers), Layers{layers}));
}

}  // namespace remat

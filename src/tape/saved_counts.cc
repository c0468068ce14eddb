#include "tape/saved_counts.h"

#include <algorithm>
#include <map>
#include <string>

namespace remat::tape {
namespace {

constexpr const char* kWrittenFromOutside = "memory from outside the step was written into";
constexpr const char* kUnseen =
    "it changed, or depends on what changed, where no operator wrote it";

std::string why_not(const StepRecord& record, const Value& value) {
  if (value.maker == OpIndex::kNone) return kWrittenFromOutside;
  const Op& op = record.ops[value.maker];
  return op.unsound_because != nullptr ? op.unsound_because : kUnseen;
}

void add(ValueCount& count, const Value& value) {
  ++count.values;
  count.bytes += Bytes(value.bytes);
}

std::vector<RefusedValues> largest_first(const std::map<std::string, ValueCount>& by_reason) {
  std::vector<RefusedValues> refused;
  for (const auto& [why, count] : by_reason) refused.push_back({why, count.values, count.bytes});
  std::stable_sort(
      refused.begin(), refused.end(),
      [](const RefusedValues& a, const RefusedValues& b) { return a.bytes > b.bytes; });
  return refused;
}

}  // namespace

SavedCounts count_saved(const StepRecord& record) {
  SavedCounts counts;
  std::map<std::string, ValueCount> refused;
  std::vector<char> met(static_cast<std::size_t>(record.slots.size()), 0);
  for (const Value& value : record.values) {
    // The first content that the step finds in a storage was there before it.
    const bool is_from_outside = value.maker == OpIndex::kNone && met[at_place(value.slot)] == 0;
    met[at_place(value.slot)] = 1;
    if (!value.saved || is_from_outside) continue;
    if (!value.sound) {
      add(refused[why_not(record, value)], value);
    } else {
      add(value.dropped ? counts.dropped : value.packed ? counts.packed : counts.kept, value);
    }
  }
  counts.refused = largest_first(refused);
  return counts;
}

}  // namespace remat::tape

#include "tape/eviction.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace remat::tape {
namespace {

// The order of values is looked at again after so many moments, and after so many of them went.
constexpr std::int32_t kMoments = 8;
constexpr std::int32_t kEvictions = 8;

bool in_memory(const StepRecord& record, ValueIndex index) {
  const Value& value = record.values[index];
  if (value.held) return true;
  const Slot& slot = record.slots[value.slot];
  return slot.current == index && !slot.address.expired();
}

/// Of each operator: nanoseconds of the longest row of operators that have to run before it can run again,
/// and of the longest that would have to wait for it, all of whose results are gone.
struct Rows {
  std::vector<double> before, after;
};

template <class Visit>
void for_each_missing_input(const StepRecord& record, const Op& op, Visit&& visit) {
  for (std::int32_t i = op.arguments.begin; i < op.arguments.end; ++i) {
    const TensorArgument& argument = record.arguments[i];
    if (argument.value == ValueIndex::kNone || argument.overwritten) continue;
    const Value& value = record.values[argument.value];
    if (value.sound) visit(argument.value, value.maker);
  }
}

double time_of(const Op& op) { return static_cast<double>(op.nanoseconds) + 1000; }

bool is_gone(const StepRecord& record, const Op& op) {
  if (op.outputs.size() == 0) return false;
  for (std::int32_t i = op.outputs.begin; i < op.outputs.end; ++i) {
    if (in_memory(record, record.outputs[i].value)) return false;
  }
  return true;
}

Rows rows_of(const StepRecord& record) {
  const auto count = static_cast<std::size_t>(record.ops.size());
  Rows rows{std::vector<double>(count, 0), std::vector<double>(count, 0)};
  for (std::int32_t i = 0; i < record.ops.size(); ++i) {
    const auto index = static_cast<OpIndex>(i);
    double& before = rows.before[at_place(index)];
    for_each_missing_input(record, record.ops[index], [&](ValueIndex value, OpIndex maker) {
      if (in_memory(record, value)) return;
      before = std::max(before, rows.before[at_place(maker)] + time_of(record.ops[maker]));
    });
  }
  for (std::int32_t i = record.ops.size() - 1; i >= 0; --i) {
    const auto index = static_cast<OpIndex>(i);
    const Op& op = record.ops[index];
    if (!is_gone(record, op)) continue;
    const double row = rows.after[at_place(index)] + time_of(op);
    for_each_missing_input(record, op, [&](ValueIndex, OpIndex maker) {
      double& after = rows.after[at_place(maker)];
      after = std::max(after, row);
    });
  }
  return rows;
}

}  // namespace

bool is_evictable(const Value& value) {
  return value.held && value.sound && value.bytes > 0 && value.held.use_count() == 1;
}

ValueIndex EvictionOrder::next(const StepRecord& record, std::int32_t now) {
  const bool stale = looked_at_ < 0 || now - looked_at_ > kMoments || given_ >= kEvictions;
  if (stale) look(record, now);
  for (bool looked = stale;; looked = true) {
    while (!order_.empty()) {
      const ValueIndex value = order_.back();
      order_.pop_back();
      if (!is_evictable(record.values[value])) continue;
      ++given_;
      return value;
    }
    if (looked) return ValueIndex::kNone;
    look(record, now);
  }
}

void EvictionOrder::look(const StepRecord& record, std::int32_t now) {
  const Rows rows = rows_of(record);
  std::vector<std::pair<double, ValueIndex>> scores;
  for (std::int32_t i = 0; i < record.values.size(); ++i) {
    const auto index = static_cast<ValueIndex>(i);
    const Value& value = record.values[index];
    if (!is_evictable(value)) continue;
    const double staleness = std::max(now - value.last_used, 1);
    const std::size_t maker = at_place(value.maker);
    const double cost = time_of(record.ops[value.maker]) + rows.before[maker] + rows.after[maker];
    scores.emplace_back(cost / (static_cast<double>(value.bytes) * staleness), index);
  }
  std::sort(scores.begin(), scores.end(), std::greater<>());
  order_.clear();
  for (const auto& score : scores) order_.push_back(score.second);
  looked_at_ = now;
  given_ = 0;
}

}  // namespace remat::tape

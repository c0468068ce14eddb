#include "checkpoint/divergence.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace remat {
namespace {

std::string name_of(const std::optional<c10::OperatorHandle>& op) {
  return op ? c10::toString(op->operator_name()) : std::string("no operator");
}

std::string saved_by(const SavedRecord& record) {
  return record.op ? " (saved by " + name_of(record.op) + ")" : std::string();
}

/// Operators are alive for as long as a handle of theirs is used: their schemas' addresses tell them apart.
bool same_operator(const SavedRecord& a, const SavedRecord& b) {
  return a.op && b.op ? &a.op->schema() == &b.op->schema() : a.op.has_value() == b.op.has_value();
}

[[noreturn]] void report(const ForwardRecord& forward, const RegionPass& recomputed,
                         const std::string& difference) {
  const std::string more =
      forward.options.debug
          ? OpLog::compare(forward.ops, recomputed.ops())
          : std::string("For the operators of both passes set CheckpointOptions::debug = true.");
  throw CheckpointError(fmt::format(
      "{}: the recomputation did not do what the forward did. {}\nThe region's function must do the "
      "same work each time it is called: no branches on state that changes, no autocast entered outside "
      "of it, no untracked random numbers, no TorchScript that is not specialised yet (call it twice, "
      "with gradients, before).\n{}",
      region_name(forward.options), difference, more));
}

void check_count(const ForwardRecord& forward, const RegionPass& recomputed, std::size_t needed,
                 bool stopped) {
  const std::size_t expected = forward.saved.size();
  const std::size_t found = recomputed.saved().size();
  if (found < needed) {
    report(
        forward, recomputed,
        fmt::format("A different number of tensors was saved during the original forward and "
                    "recomputation.\nNumber of tensors saved during forward: {}\nNumber of tensors "
                    "saved during recomputation: {}.",
                    expected, found));
  }
  if (found > expected && !stopped && forward.finished && !forward.options.early_stop) {
    report(forward, recomputed,
           fmt::format(
               "A different number of tensors was saved: the region is trying to save more "
               "tensors during recomputation than during the original forward pass.\nNumber of "
               "tensors saved during forward: {}\nNumber of tensors saved during recomputation: "
               "{}.",
               expected, found));
  }
}

void check_metadata(const ForwardRecord& forward, const RegionPass& recomputed) {
  std::string differences;
  const std::size_t both = std::min(forward.saved.size(), recomputed.saved().size());
  for (std::size_t i = 0; i < both; ++i) {
    const SavedRecord& before = forward.saved[i];
    const SavedRecord& now = recomputed.saved()[i];
    if (before.metadata != now.metadata) {
      differences +=
          fmt::format("\ntensor at position {}{}:\nsaved metadata: {}\nrecomputed metadata: {}", i,
                      saved_by(before), before.metadata.to_string(), now.metadata.to_string());
    }
  }
  if (!differences.empty()) {
    report(
        forward, recomputed,
        "Recomputed values for the following tensors have different metadata than during the forward "
        "pass." +
            differences);
  }
}

/// Tensors of one size may stand in for each other unnoticed: TorchScript saves others, or in another
/// order, once its executor has specialised the function.
void check_operators(const ForwardRecord& forward, const RegionPass& recomputed) {
  const std::size_t both = std::min(forward.saved.size(), recomputed.saved().size());
  for (std::size_t i = 0; i < both; ++i) {
    const SavedRecord& before = forward.saved[i];
    const SavedRecord& now = recomputed.saved()[i];
    if (!same_operator(before, now)) {
      report(forward, recomputed,
             fmt::format(
                 "Other operators have saved tensors, first at position {}: {} in the forward, {} "
                 "in the recomputation.",
                 i, name_of(before.op), name_of(now.op)));
    }
  }
}

void check_values(const ForwardRecord& forward, const RegionPass& recomputed) {
  const std::size_t both = std::min(forward.saved.size(), recomputed.saved().size());
  for (std::size_t i = 0; i < both; ++i) {
    if (forward.saved[i].hash != recomputed.saved()[i].hash) {
      report(forward, recomputed,
             fmt::format(
                 "Recomputed values differ from the forward's, first in the tensor at position "
                 "{}{}: {}.",
                 i, saved_by(forward.saved[i]), forward.saved[i].metadata.to_string()));
    }
  }
}

}  // namespace

void check_same_pass(const ForwardRecord& forward, const RegionPass& recomputed, std::size_t needed,
                     bool stopped) {
  check_count(forward, recomputed, needed, stopped);
  if (forward.options.determinism != Determinism::kNone) {
    check_metadata(forward, recomputed);
    check_operators(forward, recomputed);
  }
  if (forward.options.determinism == Determinism::kValues) {
    check_values(forward, recomputed);
  }
}

std::string region_name(const CheckpointOptions& options) {
  return options.name.empty() ? "remat::checkpoint" : "remat::checkpoint '" + options.name + "'";
}

}  // namespace remat

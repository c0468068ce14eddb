#include "plan/reduced_graph.h"

#include <algorithm>
#include <optional>

namespace remat::plan {
namespace {
std::size_t at(Place place) { return static_cast<std::size_t>(place); }
}  // namespace

ReducedGraph::ReducedGraph(const OpGraph& graph, const graph::IndexedGraph& index,
                           const Repetition& repetition, Place kept)
    : whole_(graph),
      index_(index),
      repetition_(repetition),
      first_gone_((kept + 1) / 2),
      gone_(repetition.blocks - kept),
      place_of_value_(graph.values.size(), -1) {
  for (auto& phase : block_ops_) phase.resize(at(repetition.blocks));
  for (std::size_t op = 0; op < graph.ops.size(); ++op) {
    const auto& place = repetition.ops[op];
    if (place.block < 0) continue;
    auto& ops = block_ops_[graph.ops[op].phase == Phase::kBackward ? 1 : 0][at(place.block)];
    ops.resize(std::max(ops.size(), at(place.within) + 1), -1);
    ops[at(place.within)] = static_cast<Place>(op);
  }
  reduced_.name = graph.name;
  reduced_.fixed = graph.fixed;
  add_inputs();
  for (std::size_t op = 0; op < graph.ops.size(); ++op) {
    const auto block = repetition.ops[op].block;
    if (block < 0 || keeps(block)) add_op(op);
  }
}

bool ReducedGraph::keeps(Place block) const {
  return block < first_gone_ || block >= first_gone_ + gone_;
}

Place ReducedGraph::representative(Place block, BlockOrder order) const {
  const auto kept = repetition_.blocks - gone_;
  const auto behind = repetition_.blocks - 1 - block;
  auto place = static_cast<Place>(static_cast<std::int64_t>(block) * kept / repetition_.blocks);
  if (order == BlockOrder::kInTurn) {
    const auto last = kept / 2;  // that many blocks at the end are not repeated
    place = behind < last ? kept - 1 - behind : block % (kept - last);
  }
  return place < first_gone_ ? place : place + gone_;
}

Place ReducedGraph::op_at(bool backward, Place block, Place within) const {
  if (block < 0 || block >= repetition_.blocks) return -1;
  const auto& ops = block_ops_[backward ? 1 : 0][at(block)];
  return at(within) < ops.size() ? ops[at(within)] : -1;
}

// The value of another block that is to that block what `value` is to its own.
std::optional<std::size_t> ReducedGraph::twin(std::size_t value, Place block) const {
  const auto writer = index_.writer(value);
  if (!writer) return value;
  const auto& place = repetition_.ops[*writer];
  if (place.block < 0) return value;
  const auto op = op_at(whole_.ops[*writer].phase == Phase::kBackward, block, place.within);
  if (op < 0) return std::nullopt;
  const auto& own = index_.ops()[*writer].writes;
  const auto& other = index_.ops()[at(op)].writes;
  const auto output =
      static_cast<std::size_t>(std::find(own.begin(), own.end(), value) - own.begin());
  return output < other.size() ? std::optional(other[output]) : std::nullopt;
}

// Blocks keep their distance where the row closes up.
std::optional<std::size_t> ReducedGraph::mapped_value(std::size_t reader, std::size_t value) const {
  const auto writer = index_.writer(value);
  if (!writer || repetition_.ops[*writer].block < 0) return value;
  const auto from = repetition_.ops[reader].block;
  const auto to = repetition_.ops[*writer].block;
  if (from < 0) return keeps(to) ? std::optional(value) : std::nullopt;
  const auto closed_up = (from < first_gone_ ? from : from - gone_) - (from - to);
  if (closed_up < 0) return keeps(to) ? std::optional(value) : std::nullopt;
  return twin(value, closed_up < first_gone_ ? closed_up : closed_up + gone_);
}

std::vector<ValueId> ReducedGraph::mapped_reads(std::size_t op) const {
  std::vector<ValueId> reads;
  for (const auto value : index_.ops()[op].reads) {
    const auto mapped = mapped_value(op, value);
    if (!mapped || place_of_value_[*mapped] < 0) continue;
    const auto id = ValueId{place_of_value_[*mapped]};
    if (std::find(reads.begin(), reads.end(), id) == reads.end()) reads.push_back(id);
  }
  return reads;
}

void ReducedGraph::add_inputs() {
  for (std::size_t value = 0; value < whole_.values.size(); ++value) {
    if (index_.writer(value)) continue;
    place_of_value_[value] = static_cast<Place>(reduced_.values.size());
    reduced_.values.push_back({ValueId{place_of_value_[value]}, whole_.values[value].bytes, {}});
  }
}

// What is held from outside, and storage handed over, are left to the search over the whole graph.
void ReducedGraph::add_op(std::size_t op) {
  auto copy = whole_.ops[op];
  copy.id = OpId{static_cast<std::int64_t>(reduced_.ops.size())};
  copy.reads = mapped_reads(op);
  copy.writes.clear();
  copy.reuses.clear();
  for (const auto value : index_.ops()[op].writes) {
    place_of_value_[value] = static_cast<Place>(reduced_.values.size());
    reduced_.values.push_back({ValueId{place_of_value_[value]}, whole_.values[value].bytes, {}});
    copy.writes.push_back(ValueId{place_of_value_[value]});
  }
  reduced_.ops.push_back(std::move(copy));
}

std::vector<KeepPattern> ReducedGraph::expand(const RetentionSpace& whole,
                                              const RetentionSpace& reduced,
                                              const std::vector<KeepPattern>& patterns,
                                              BlockOrder order) const {
  std::vector<KeepPattern> result(whole.gaps.size(), kKeepThroughout);
  for (std::size_t gap = 0; gap < whole.gaps.size(); ++gap) {
    const auto value = at(whole.gaps[gap].value);
    const auto writer = index_.writer(value);
    const auto block = writer ? repetition_.ops[*writer].block : -1;
    const auto source =
        block < 0 ? std::optional(value) : twin(value, representative(block, order));
    if (!source || place_of_value_[*source] < 0) continue;
    const auto model = place_of_value_[*source];
    const auto number = static_cast<Place>(gap) - whole.first_gap[value];
    const auto model_gap = reduced.first_gap[at(model)] + number;
    if (at(model_gap) < reduced.gaps.size() && reduced.gaps[at(model_gap)].value == model) {
      result[gap] = patterns[at(model_gap)];
    }
  }
  return result;
}

}  // namespace remat::plan

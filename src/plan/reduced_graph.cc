#include "plan/reduced_graph.h"

#include <algorithm>
#include <utility>

namespace remat::plan {
namespace {
std::size_t at(std::int32_t place) { return static_cast<std::size_t>(place); }
std::size_t list_of(Phase phase) { return phase == Phase::kBackward ? 1 : 0; }
}  // namespace

ReducedGraph::ReducedGraph(const OpGraph& graph, const graph::IndexedGraph& index,
                           const Repetition& repetition, std::int32_t kept)
    : whole_(graph),
      index_(index),
      repetition_(repetition),
      first_gone_((kept + 1) / 2),
      gone_(repetition.blocks - kept),
      place_of_value_(graph.values.size()) {
  for (auto& phase : block_ops_) phase.resize(at(repetition.blocks));
  for (std::size_t op = 0; op < graph.ops.size(); ++op) {
    const auto& place = repetition.ops[op];
    if (place.block < 0) continue;
    auto& ops = block_ops_[list_of(graph.ops[op].phase)][at(place.block)];
    ops.resize(std::max(ops.size(), at(place.within) + 1));
    ops[at(place.within)] = OpPlace(op);
  }
  reduced_.name = graph.name;
  reduced_.fixed = graph.fixed;
  add_inputs();
  for (std::size_t op = 0; op < graph.ops.size(); ++op) {
    const auto block = repetition.ops[op].block;
    if (block < 0 || keeps(block)) add_op(OpPlace(op));
  }
}

bool ReducedGraph::keeps(std::int32_t block) const {
  return block < first_gone_ || block >= first_gone_ + gone_;
}

std::int32_t ReducedGraph::representative(std::int32_t block, BlockOrder order) const {
  const auto kept = repetition_.blocks - gone_;
  const auto behind = repetition_.blocks - 1 - block;
  auto place = static_cast<std::int32_t>(std::int64_t{block} * kept / repetition_.blocks);
  if (order == BlockOrder::kInTurn) {
    const auto last = kept / 2;  // that many blocks at the end are not repeated
    place = behind < last ? kept - 1 - behind : block % (kept - last);
  }
  return place < first_gone_ ? place : place + gone_;
}

// Of the op that writes it; -1: outside.
std::int32_t ReducedGraph::block_of(ValuePlace value) const {
  const auto writer = index_.writer(value.index());
  return writer ? repetition_.ops[*writer].block : -1;
}

OpPlace ReducedGraph::op_at(Phase phase, BlockPlace place) const {
  if (place.block < 0 || place.block >= repetition_.blocks) return {};
  const auto& ops = block_ops_[list_of(phase)][at(place.block)];
  return at(place.within) < ops.size() ? ops[at(place.within)] : OpPlace();
}

// The value of another block that is to that block what `value` is to its own; none if there is none.
ValuePlace ReducedGraph::twin(ValuePlace value, std::int32_t block) const {
  if (block_of(value) < 0) return value;
  const auto writer = *index_.writer(value.index());
  const auto op = op_at(whole_.ops[writer].phase, {block, repetition_.ops[writer].within});
  if (!op.exists()) return {};
  const auto& own = index_.ops()[writer].writes;
  const auto& other = index_.ops()[op.index()].writes;
  const auto output =
      static_cast<std::size_t>(std::find(own.begin(), own.end(), value.index()) - own.begin());
  return output < other.size() ? ValuePlace(other[output]) : ValuePlace();
}

// Blocks keep their distance where the row closes up.
ValuePlace ReducedGraph::mapped_value(OpPlace reader, ValuePlace value) const {
  const auto to = block_of(value);
  if (to < 0) return value;
  const auto unmoved = keeps(to) ? value : ValuePlace();
  const auto from = repetition_.ops[reader.index()].block;
  if (from < 0) return unmoved;
  const auto closed_up = (from < first_gone_ ? from : from - gone_) - (from - to);
  if (closed_up < 0) return unmoved;
  return twin(value, closed_up < first_gone_ ? closed_up : closed_up + gone_);
}

std::vector<ValueId> ReducedGraph::mapped_reads(OpPlace op) const {
  std::vector<ValueId> reads;
  for (const auto value : index_.ops()[op.index()].reads) {
    const auto mapped = mapped_value(op, ValuePlace(value));
    if (!mapped.exists() || !place_of_value_[mapped].exists()) continue;
    const auto id = ValueId{place_of_value_[mapped].number()};
    if (std::find(reads.begin(), reads.end(), id) == reads.end()) reads.push_back(id);
  }
  return reads;
}

ValueId ReducedGraph::add_value(ValuePlace value) {
  const ValuePlace place(reduced_.values.size());
  const ValueId id{place.number()};
  place_of_value_[value] = place;
  reduced_.values.push_back({id, whole_.values[value.index()].bytes, {}});
  return id;
}

void ReducedGraph::add_inputs() {
  for (const auto value : place_of_value_.places()) {
    if (!index_.writer(value.index())) add_value(value);
  }
}

// What is held from outside, and storage handed over, are left to the search over the whole graph.
void ReducedGraph::add_op(OpPlace op) {
  auto copy = whole_.ops[op.index()];
  copy.id = OpId{static_cast<std::int64_t>(reduced_.ops.size())};
  copy.reads = mapped_reads(op);
  copy.writes.clear();
  copy.reuses.clear();
  for (const auto value : index_.ops()[op.index()].writes) {
    copy.writes.push_back(add_value(ValuePlace(value)));
  }
  reduced_.ops.push_back(std::move(copy));
}

Patterns ReducedGraph::expand(const RetentionSpace& whole, const Decisions& reduced,
                              BlockOrder order) const {
  Patterns result(whole.gaps.size(), kKeepThroughout);
  for (const auto gap : whole.gaps.places()) {
    const auto value = whole.gaps[gap].value;
    const auto block = block_of(value);
    const auto source = block < 0 ? value : twin(value, representative(block, order));
    if (!source.exists() || !place_of_value_[source].exists()) continue;
    const auto model = place_of_value_[source];
    const auto model_gap = reduced.space.first_gap[model] + (gap - whole.first_gap[value]);
    if (reduced.space.gaps.has(model_gap) && reduced.space.gaps[model_gap].value == model) {
      result[gap] = reduced.patterns[model_gap];
    }
  }
  return result;
}

}  // namespace remat::plan

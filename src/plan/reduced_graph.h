// An op graph with most of its equal blocks taken out, for a search whose answer serves all of them.
#pragma once

#include <vector>

#include <remat/graph.h>

#include "graph/indexed_graph.h"
#include "plan/places.h"
#include "plan/repetition.h"
#include "plan/retention_space.h"
#include "plan/retention_state.h"

namespace remat::plan {

/// Which kept block a block is done as. In proportion: the first third of all as the first third of the kept,
/// so that a block knows how late in the step it is. In turn: one after the other and again from the first,
/// but for the last ones, so that a block has the neighbours that were searched.
enum class BlockOrder { kInProportion, kInTurn };

/// A graph as the search sees it, and what was decided for it.
struct Decisions {
  const RetentionSpace& space;
  const Patterns& patterns;
};

/// Keeps the first and the last blocks, `kept` in all, and lets the block behind the hole read what the one
/// before the hole writes.
class ReducedGraph {
 public:
  /// `graph` must outlive this; `index` and `repetition` are its own.
  ReducedGraph(const OpGraph& graph, const graph::IndexedGraph& index, const Repetition& repetition,
               std::int32_t kept);

  const OpGraph& graph() const { return reduced_; }

  /// What was decided for the reduced graph, for the whole.
  Patterns expand(const RetentionSpace& whole, const Decisions& reduced, BlockOrder order) const;

 private:
  bool keeps(std::int32_t block) const;
  std::int32_t representative(std::int32_t block, BlockOrder order) const;
  std::int32_t block_of(ValuePlace value) const;
  OpPlace op_at(Phase phase, BlockPlace place) const;
  std::vector<ValueId> mapped_reads(OpPlace op) const;
  ValuePlace mapped_value(OpPlace reader, ValuePlace value) const;
  ValuePlace twin(ValuePlace value, std::int32_t block) const;
  void add_op(OpPlace op);
  void add_inputs();
  ValueId add_value(ValuePlace value);

  const OpGraph& whole_;
  const graph::IndexedGraph& index_;
  const Repetition& repetition_;
  std::int32_t first_gone_ = 0;
  std::int32_t gone_ = 0;
  std::vector<std::vector<OpPlace>>
      block_ops_[2];  // forward's, backward's; by block and place within
  ByPlace<ValuePlace, ValuePlace> place_of_value_;  // in the reduced graph, or none
  OpGraph reduced_;
};

}  // namespace remat::plan

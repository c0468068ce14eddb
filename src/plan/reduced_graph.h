// An op graph with most of its equal blocks taken out, for a search whose answer serves all of them.
#pragma once

#include <vector>

#include <remat/graph.h>

#include "graph/indexed_graph.h"
#include "plan/repetition.h"
#include "plan/retention_space.h"
#include "plan/retention_state.h"

namespace remat::plan {

/// Which kept block a block is done as. In proportion: the first third of all as the first third of the kept,
/// so that a block knows how late in the step it is. In turn: one after the other and again from the first,
/// but for the last ones, so that a block has the neighbours that were searched.
enum class BlockOrder { kInProportion, kInTurn };

/// Keeps the first and the last blocks, `kept` in all, and lets the block behind the hole read what the one
/// before the hole writes.
class ReducedGraph {
 public:
  /// `graph` must outlive this; `index` and `repetition` are its own.
  ReducedGraph(const OpGraph& graph, const graph::IndexedGraph& index, const Repetition& repetition,
               Place kept);

  const OpGraph& graph() const { return reduced_; }

  /// What was decided for the reduced graph, for the whole.
  std::vector<KeepPattern> expand(const RetentionSpace& whole, const RetentionSpace& reduced,
                                  const std::vector<KeepPattern>& patterns, BlockOrder order) const;

 private:
  bool keeps(Place block) const;
  Place representative(Place block, BlockOrder order) const;
  Place op_at(bool backward, Place block, Place within) const;
  std::vector<ValueId> mapped_reads(std::size_t op) const;
  std::optional<std::size_t> mapped_value(std::size_t reader, std::size_t value) const;
  std::optional<std::size_t> twin(std::size_t value, Place block) const;
  void add_op(std::size_t op);
  void add_inputs();

  const OpGraph& whole_;
  const graph::IndexedGraph& index_;
  const Repetition& repetition_;
  Place first_gone_ = 0;
  Place gone_ = 0;
  std::vector<std::vector<Place>>
      block_ops_[2];                   // forward's, backward's; by block and place within
  std::vector<Place> place_of_value_;  // in the reduced graph; -1 if not there
  OpGraph reduced_;
};

}  // namespace remat::plan

// The search over a graph of many equal blocks, as a transformer's: over a few of them first.
#pragma once

#include <cstdint>
#include <optional>

#include <remat/graph.h>

#include "graph/indexed_graph.h"
#include "plan/reduced_graph.h"
#include "plan/repetition.h"
#include "plan/retention_search.h"
#include "plan/retention_space.h"

namespace remat::plan {

/// Searches decisions for a few blocks and does the others as these, in either order. What that leaves
/// unused of the budget, or lacks, corrects the budget of the few, several times.
class RepeatedSearch {
 public:
  /// Empty where there is too little repetition to gain by it.
  static std::optional<Repetition> repetition_of(const OpGraph& graph,
                                                 const graph::IndexedGraph& index);

  /// All must outlive this.
  RepeatedSearch(const OpGraph& graph, const graph::IndexedGraph& index,
                 const RetentionSpace& space, const Repetition& repetition);

  /// Spends `effort` and offers what it finds to `whole`, whose budget and deadline are those to meet.
  void search(RetentionSearch& whole, std::int64_t effort) const;

 private:
  std::int64_t first_budget(std::int64_t budget) const;
  void adapt(RetentionSearch& whole, Patterns patterns, BlockOrder order,
             std::int64_t effort) const;

  const RetentionSpace& space_;
  std::int32_t kept_ = 0;
  std::int32_t blocks_ = 0;
  ReducedGraph reduced_;
  graph::IndexedGraph reduced_index_;
  RetentionSpace reduced_space_;
};

}  // namespace remat::plan

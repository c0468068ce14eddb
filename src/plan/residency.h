// Which values of an op graph are resident as a plan goes on, by the rules of docs/formats.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <remat/graph.h>

#include "graph/indexed_graph.h"

namespace remat::plan {

/// Takes actions that are known to be allowed. Values and ops are named by their places in the graph.
///
/// Lifetime: of `graph` and `index`, which is that of `graph`.
class Residency {
 public:
  /// At the start of the step: the inputs are resident.
  Residency(const OpGraph& graph, const graph::IndexedGraph& index);

  /// Makes resident what the op writes. Returns the memory while it runs: what it writes has a second
  /// copy where it was resident already, and on the first run takes the storage of what it reuses.
  Bytes start(std::size_t op);

  /// Ends the run that start() began. To be called before the next action.
  void finish(std::size_t op);

  /// At once, or, where the value is still held from outside, once its holder has run.
  void drop(std::size_t value);

  bool holds(std::size_t value) const { return resident_[value]; }
  std::int64_t runs(std::size_t op) const { return runs_[op]; }

  /// Fixed bytes and resident values.
  Bytes live() const { return live_; }

 private:
  void add(std::size_t value);
  void remove(std::size_t value);

  const OpGraph& graph_;
  const graph::IndexedGraph& index_;
  std::vector<bool> resident_;
  std::vector<bool> drop_waits_;  // dropped, but still held from outside
  std::vector<std::vector<std::size_t>> released_after_;
  std::vector<std::int64_t> runs_;
  Bytes live_;
};

}  // namespace remat::plan

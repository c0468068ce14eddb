// An op graph that was checked, with ids replaced by places in its lists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <remat/graph.h>

namespace remat::graph {

/// What an operator touches, by place in OpGraph::values.
struct IndexedOp {
  struct Reuse {
    std::size_t read = 0;
    std::size_t written = 0;
  };
  std::vector<std::size_t> reads;
  std::vector<std::size_t> writes;
  std::vector<Reuse> reuses;
};

/// Every sum of sizes that an execution can form, and the time of the plain step, stay below 2^63.
class IndexedGraph {
 public:
  /// Errors: InvalidArgument that names `source`, the place in the graph and what is there, if an id is
  ///         negative, repeated or names nothing, a size or time is negative, a value is written twice,
  ///         an operator reads what itself or a later one writes, `reuses` pairs other than a read and
  ///         a write, or sizes or times add up to 2^63 or more.
  /// Cost:   linear.
  IndexedGraph(const OpGraph& graph, const std::string& source);

  /// The place of an operator or a value, if the graph has it.
  std::optional<std::size_t> find(OpId id) const;
  std::optional<std::size_t> find(ValueId id) const;

  /// As OpGraph::ops.
  const std::vector<IndexedOp>& ops() const { return ops_; }

  /// The op that writes this value; none for inputs.
  std::optional<std::size_t> writer(std::size_t value) const { return writers_[value]; }

  /// The op until whose first run this value is held from outside.
  std::optional<std::size_t> held_until(std::size_t value) const { return held_until_[value]; }

 private:
  using Places = std::unordered_map<std::int64_t, std::size_t>;

  Places op_places_;
  Places value_places_;
  std::vector<IndexedOp> ops_;
  std::vector<std::optional<std::size_t>> writers_;
  std::vector<std::optional<std::size_t>> held_until_;

  friend class GraphIndexer;
};

}  // namespace remat::graph

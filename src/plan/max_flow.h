// Maximum flow and minimum cut of a small network, in whole numbers.
#pragma once

#include <cstdint>
#include <vector>

namespace remat::plan {

/// Source: Dinic 1970, blocking flows on shortest paths.
class MaxFlow {
 public:
  using Node = std::int32_t;
  using Edge = std::int32_t;
  struct Ends {
    Node from = 0;
    Node to = 0;
  };

  static constexpr Node kSource = 0;
  static constexpr Node kSink = 1;
  /// More than any sum of finite capacities may be.
  static constexpr std::int64_t kUnlimited = std::int64_t{1} << 61;

  /// Nodes are 0 to nodes - 1; source and sink are among them.
  MaxFlow(Node nodes, const std::vector<Ends>& edges);

  struct Capacity {
    Edge edge = 0;
    std::int64_t most = 0;
  };
  void set(Capacity capacity);

  /// The most that flows from source to sink; kUnlimited or more where nothing limits it. Once `work` edges
  /// were visited it returns what it has: a flow, but perhaps not the largest.
  std::int64_t run(std::int64_t work);
  bool is_largest() const { return largest_; }
  std::int64_t work() const { return work_; }

  /// Whether the node is on the source's side of the cut, the smallest such side.
  bool reached(Node node) const { return level_[static_cast<std::size_t>(node)] >= 0; }

 private:
  struct Arc {
    Node to = 0;
    Edge back = 0;  // the place of the arc in the other direction
    std::int64_t left = 0;
  };

  bool find_levels();
  std::int64_t block_paths();
  std::int64_t augment();
  bool advance(Node node);

  std::vector<Arc> arcs_;  // by the node they leave
  std::vector<Edge> first_;
  std::vector<Edge> place_of_edge_;
  std::vector<std::int64_t> capacity_;
  std::vector<std::int32_t> level_;
  std::vector<Edge> next_;
  std::vector<Node> queue_;
  std::vector<Edge> path_;
  std::int64_t work_ = 0;
  std::int64_t work_limit_ = 0;
  bool largest_ = true;
};

}  // namespace remat::plan

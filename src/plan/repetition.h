// Equal blocks in a row, as the layers of a transformer, in a graph's forward and backward.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <remat/graph.h>

#include "graph/indexed_graph.h"

namespace remat::plan {

/// Where an op stands in repeated blocks. Backward's blocks count in forward's order: block 3 of backward
/// is the one that reads what block 3 of forward saved.
struct BlockPlace {
  std::int32_t block = -1;  ///< -1: outside
  std::int32_t within = 0;  ///< its place in the block
};

struct Repetition {
  std::int32_t blocks = 0;
  std::vector<BlockPlace> ops;
};

/// The repetition that covers most ops: equal kinds, numbers of reads and, of what can be made again, sizes at
/// equal distances, at least `least_blocks` times. Times may differ: they are measured. So may what is named
/// before the kind (graph::OpName), and sizes of gradients and of other memory, which grow in backward.
///
/// Cost: quadratic in the ops of one phase, with a small constant (0.1 s for 20,000).
std::optional<Repetition> find_repetition(const OpGraph& graph, const graph::IndexedGraph& index,
                                          std::int32_t least_blocks);

/// A run of equal periods in a row of signatures: [begin, begin + period * copies).
struct Period {
  std::int32_t begin = 0;
  std::int32_t period = 0;
  std::int32_t copies = 0;
};
std::optional<Period> find_period(const std::vector<std::uint64_t>& signatures,
                                  std::int32_t least_copies);

}  // namespace remat::plan

// From an order of runs to a plan: each value is let go as soon as nothing needs it any more.
#pragma once

#include <cstddef>
#include <vector>

#include <remat/graph.h>

#include "graph/indexed_graph.h"

namespace remat::plan {

/// The plan that runs these ops (places in `graph.ops`) in this order and drops each value after its last
/// use before it is made again or the step ends: no other drops let the same runs do with less memory.
/// Its predictions and budget are not filled in.
///
/// `index` is that of `graph`.
Plan with_drops(const OpGraph& graph, const graph::IndexedGraph& index,
                const std::vector<std::size_t>& runs);

}  // namespace remat::plan

// What a plan keeps from forward for backward.
#pragma once

#include <cstddef>
#include <vector>

#include <remat/graph.h>

#include "graph/indexed_graph.h"

namespace remat::plan {

/// The values, by place, that forward made and that are resident as the first backward op begins. Of a
/// step without backward, none. `plan` is valid, and `index` is that of `graph`.
std::vector<std::size_t> kept_values(const OpGraph& graph, const graph::IndexedGraph& index,
                                     const Plan& plan);

/// Their bytes.
/// Errors: InvalidArgument if the graph cannot be.
Bytes kept_bytes(const OpGraph& graph, const Plan& plan);

}  // namespace remat::plan

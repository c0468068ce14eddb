// Op graphs and plans inside of other documents.
#pragma once

#include <string>

#include <remat/graph.h>

#include "base/json_cursor.h"

namespace remat::graph {

/// As remat::read_op_graph and remat::read_plan read whole ones; `source` is what messages call `root`.
OpGraph read_nested_op_graph(const JsonCursor& root, const std::string& source);
Plan read_nested_plan(const JsonCursor& root);

}  // namespace remat::graph

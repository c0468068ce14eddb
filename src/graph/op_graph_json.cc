// The format remat.opgraph/1.
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <remat/graph.h>

#include "base/json.h"
#include "base/json_cursor.h"
#include "graph/file_format.h"
#include "graph/ids.h"
#include "graph/indexed_graph.h"
#include "graph/json_lines.h"
#include "graph/names.h"
#include "graph/nested.h"

namespace remat {
namespace {

using graph::read_bytes;
using graph::read_id;
using graph::read_optional;
using graph::read_time;

std::vector<std::int64_t> read_shape(const JsonCursor& list) {
  std::vector<std::int64_t> shape;
  for (const auto& size : list.elements()) shape.push_back(size.whole_number());
  return shape;
}

GraphValue read_value(const JsonCursor& value) {
  GraphValue result;
  result.id = read_id<ValueId>(value.at("id"));
  result.bytes = read_bytes(value.at("bytes"));
  result.held_until = read_optional(value, "held_until", read_id<OpId>);
  if (const auto name = value.find("name")) result.name = name->text();
  if (const auto dtype = value.find("dtype")) result.dtype = dtype->text();
  result.shape = read_optional(value, "shape", read_shape);
  return result;
}

std::vector<ValueId> read_value_ids(const JsonCursor& list) {
  std::vector<ValueId> ids;
  for (const auto& id : list.elements()) ids.push_back(read_id<ValueId>(id));
  return ids;
}

std::vector<StorageReuse> read_reuses(const JsonCursor& list) {
  std::vector<StorageReuse> reuses;
  for (const auto& pair : list.elements()) {
    const auto ids = pair.elements();
    if (ids.size() != 2) pair.reject("[id of a value read, id of the value that takes over]");
    reuses.push_back({read_id<ValueId>(ids[0]), read_id<ValueId>(ids[1])});
  }
  return reuses;
}

GraphOp read_op(const JsonCursor& op) {
  GraphOp result;
  result.id = read_id<OpId>(op.at("id"));
  result.name = op.at("name").text();
  result.phase = graph::read_name(op.at("phase"), graph::kPhases);
  result.time = read_time(op.at("time_ns"));
  result.recompute_time = read_optional(op, "recompute_time_ns", read_time);
  result.workspace = read_bytes(op.at("workspace_bytes"));
  result.reads = read_value_ids(op.at("reads"));
  result.writes = read_value_ids(op.at("writes"));
  if (const auto reuses = op.find("reuses")) result.reuses = read_reuses(*reuses);
  result.recompute = graph::read_name(op.at("recompute"), graph::kRecomputes);
  return result;
}

std::string line_of(const GraphValue& value) {
  std::string line = fmt::format(R"({{"id": {}, "bytes": {})", value.id, value.bytes.count());
  if (value.held_until) line += fmt::format(R"(, "held_until": {})", *value.held_until);
  if (!value.name.empty()) line += fmt::format(R"(, "name": {})", json_string(value.name));
  if (!value.dtype.empty()) line += fmt::format(R"(, "dtype": {})", json_string(value.dtype));
  if (value.shape) line += fmt::format(R"(, "shape": [{}])", fmt::join(*value.shape, ", "));
  return line + "}";
}

std::string line_of(const StorageReuse& reuse) {
  return fmt::format("[{}, {}]", reuse.read, reuse.written);
}

std::string line_of(const GraphOp& op) {
  std::string line =
      fmt::format(R"({{"id": {}, "name": {}, "phase": "{}", "time_ns": {})", op.id,
                  json_string(op.name), graph::name_of(graph::kPhases, op.phase), op.time.count());
  if (op.recompute_time) {
    line += fmt::format(R"(, "recompute_time_ns": {})", op.recompute_time->count());
  }
  line += fmt::format(R"(, "workspace_bytes": {}, "reads": [{}], "writes": [{}])",
                      op.workspace.count(), fmt::join(op.reads, ", "), fmt::join(op.writes, ", "));
  if (!op.reuses.empty()) {
    std::vector<std::string> pairs;
    for (const auto& reuse : op.reuses) pairs.push_back(line_of(reuse));
    line += fmt::format(R"(, "reuses": [{}])", fmt::join(pairs, ", "));
  }
  const auto recompute = graph::name_of(graph::kRecomputes, op.recompute);
  return line + fmt::format(R"(, "recompute": "{}"}})", recompute);
}

}  // namespace

OpGraph graph::read_nested_op_graph(const JsonCursor& root, const std::string& source) {
  check_format(root, kOpGraphFormat);
  OpGraph graph;
  graph.name = root.at("name").text();
  graph.device = root.at("device").text();
  graph.fixed = read_bytes(root.at("fixed_bytes"));
  for (const auto& value : root.at("values").elements()) graph.values.push_back(read_value(value));
  for (const auto& op : root.at("ops").elements()) graph.ops.push_back(read_op(op));
  const IndexedGraph checked(graph, source);
  return graph;
}

OpGraph read_op_graph(const std::string& json, const std::string& source) {
  const JsonDocument document(json, source);
  return graph::read_nested_op_graph(JsonCursor(document), source);
}

std::string to_json(const OpGraph& graph) {
  graph::JsonLines values;
  graph::JsonLines ops;
  for (const auto& value : graph.values) values.add(line_of(value));
  for (const auto& op : graph.ops) ops.add(line_of(op));
  return fmt::format(
      "{{\"format\": \"{}\", \"name\": {}, \"device\": {},\n"
      " \"fixed_bytes\": {},\n \"values\": {},\n \"ops\": {}}}\n",
      graph::kOpGraphFormat, json_string(graph.name), json_string(graph.device),
      graph.fixed.count(), values.list(), ops.list());
}

}  // namespace remat

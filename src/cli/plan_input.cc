#include "cli/plan_input.h"

#include <fmt/format.h>

#include "base/atomic_file.h"
#include "base/json.h"
#include "base/json_cursor.h"
#include "base/text.h"
#include "graph/file_format.h"

namespace remat::cli {
namespace {

bool is_op_graph(const std::string& json, const std::string& source) {
  const JsonDocument document(json, source);
  const auto format = JsonCursor(document).at("format");
  if (format.text() == graph::kOpGraphFormat) return true;
  if (format.text() == graph::kChainFormat) return false;
  format.reject(fmt::format(R"("{}" or "{}", the steps that can be planned for)",
                            graph::kOpGraphFormat, graph::kChainFormat));
}

}  // namespace

PlanInput read_plan_input(const std::string& path) {
  const auto json = read_file("FILE", path);
  const auto source = printable(path);
  if (is_op_graph(json, source)) return read_op_graph(json, source);
  return read_chain(json, source);
}

}  // namespace remat::cli

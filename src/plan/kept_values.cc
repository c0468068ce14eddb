#include "plan/kept_values.h"

#include <variant>

#include <fmt/format.h>

#include "base/text.h"
#include "plan/residency.h"

namespace remat::plan {

std::vector<std::size_t> kept_values(const OpGraph& graph, const graph::IndexedGraph& index,
                                     const Plan& plan) {
  Residency residency(graph, index);
  for (const auto& action : plan.actions) {
    if (const auto* drop = std::get_if<DropValue>(&action)) {
      residency.drop(*index.find(drop->value));
      continue;
    }
    const auto op = *index.find(std::get<RunOp>(action).op);
    if (graph.ops[op].phase == Phase::kForward) {
      residency.start(op);
      residency.finish(op);
      continue;
    }
    std::vector<std::size_t> kept;
    for (std::size_t value = 0; value < graph.values.size(); ++value) {
      if (index.writer(value) && residency.holds(value)) kept.push_back(value);
    }
    return kept;
  }
  return {};
}

Bytes kept_bytes(const OpGraph& graph, const Plan& plan) {
  const graph::IndexedGraph index(graph, fmt::format("kept_bytes: op graph {}", quote(graph.name)));
  Bytes bytes;
  for (const auto value : kept_values(graph, index, plan)) bytes += graph.values[value].bytes;
  return bytes;
}

}  // namespace remat::plan

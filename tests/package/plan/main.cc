#include <remat/bytes.h>
#include <remat/error.h>
#include <remat/graph.h>
#include <remat/placement.h>
#include <remat/simulator.h>
#include <remat/version.h>

int main() {
  const auto segments = remat::Placement::parse("every:2").segments(5);
  const auto graph = remat::read_op_graph(
      R"({"format": "remat.opgraph/1", "name": "", "device": "", "fixed_bytes": 7, "values": [], "ops": []})",
      "graph.json");
  if (remat::simulate(graph, {}).peak != remat::Bytes(7)) return 1;
  try {
    remat::Bytes::parse("lots");
  } catch (const remat::Error&) {
    return segments.size() == 3 ? 0 : 1;
  }
  return 1;
}

// Executes a plan on paper, action by action, and trusts nothing that the plan says of itself. Needs
// no LibTorch.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <remat/bytes.h>
#include <remat/graph.h>

namespace remat {

/// The first rule that a plan breaks.
struct PlanFault {
  std::int64_t action =
      0;             ///< its place in the plan; the number of actions where the end is too early
  std::string what;  ///< "op 12 (aten::mm) reads value 7, which is not resident"
};

/// Memory while an action runs.
struct SimulatedMoment {
  std::int64_t action = 0;
  Bytes live;  ///< fixed bytes, resident values and workspace
};

/// What came of a plan. Where `fault` is set, the rest tells of the actions before it.
struct Simulation {
  std::optional<PlanFault> fault;
  Bytes peak;
  std::int64_t peak_action = 0;  ///< where the peak is reached first; -1 if before the first action
  std::chrono::nanoseconds time{0};
  std::chrono::nanoseconds plain_time{0};  ///< of the step that recomputes nothing
  std::int64_t recomputed = 0;             ///< runs beyond the first of each operator or stage
  std::vector<SimulatedMoment> timeline;   ///< an entry for each action that runs something

  bool valid() const { return !fault.has_value(); }
};

/// The rules are those of docs/formats.md. For a chain, the plain time takes of each stage the option
/// of least forward and backward time.
/// Errors: InvalidArgument if the graph itself cannot be (a value without size, an operator listed
///         twice): read_op_graph and read_chain would have refused it.
/// Cost:   linear in actions, reads and writes.
Simulation simulate(const OpGraph& graph, const Plan& plan);
Simulation simulate(const Chain& chain, const ChainPlan& plan);

}  // namespace remat

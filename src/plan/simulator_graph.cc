// Executes a plan for an op graph (docs/formats.md, remat.plan/1).
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include <remat/simulator.h>

#include "base/text.h"
#include "graph/ids.h"
#include "graph/indexed_graph.h"
#include "plan/residency.h"
#include "plan/simulation_record.h"

namespace remat {
namespace {

using Fault = std::optional<std::string>;

std::string source_of(const OpGraph& graph) {
  return fmt::format("simulate: op graph {}", quote(graph.name));
}

class GraphExecution {
 public:
  explicit GraphExecution(const OpGraph& graph)
      : graph_(graph), index_(graph, source_of(graph)), residency_(graph, index_) {
    simulation_.peak = residency_.live();
    simulation_.peak_action = -1;
    for (const auto& op : graph.ops) simulation_.plain_time += op.time;
  }

  Simulation run(const Plan& plan) {
    const auto count = static_cast<std::int64_t>(plan.actions.size());
    for (action_ = 0; action_ < count; ++action_) {
      const auto fault = std::visit(*this, plan.actions[static_cast<std::size_t>(action_)]);
      if (fault) return ended_by(*fault);
    }
    if (const auto fault = what_never_ran()) return ended_by(*fault);
    return std::move(simulation_);
  }

  Fault operator()(RunOp run) {
    const auto place = index_.find(run.op);
    if (!place) return fmt::format("there is no op {}", run.op);
    const bool first = residency_.runs(*place) == 0;
    const auto& op = graph_.ops[*place];
    const auto time = first ? op.time : op.recompute_time.value_or(op.time);
    if (auto fault = why_not_run(*place)) return fault;
    if (!plan::time_fits(simulation_, time)) return plan::kTimeTooLong;
    plan::record(simulation_, action_, {residency_.start(*place), time});
    residency_.finish(*place);
    if (first) {
      next_first_ = *place + 1;
    } else {
      ++simulation_.recomputed;
    }
    return std::nullopt;
  }

  Fault operator()(DropValue drop) {
    const auto value = index_.find(drop.value);
    if (!value) return fmt::format("there is no value {}", drop.value);
    if (!residency_.holds(*value)) return fmt::format("value {} is not resident", drop.value);
    residency_.drop(*value);
    return std::nullopt;
  }

 private:
  Simulation ended_by(const std::string& fault) {
    simulation_.fault = PlanFault{action_, fault};
    return std::move(simulation_);
  }

  std::string name_of(std::size_t op) const {
    return fmt::format("op {} ({})", graph_.ops[op].id, printable(graph_.ops[op].name));
  }

  Fault why_not_run(std::size_t place) const {
    const auto& op = graph_.ops[place];
    for (const auto value : index_.ops()[place].reads) {
      if (!residency_.holds(value)) {
        return fmt::format("{} reads value {}, which is not resident", name_of(place),
                           graph_.values[value].id);
      }
    }
    if (residency_.runs(place) == 0) {
      if (place >= next_first_) return std::nullopt;
      return fmt::format("{} first runs after {}, which the graph has later", name_of(place),
                         name_of(next_first_ - 1));
    }
    if (op.phase == Phase::kBackward) {
      return fmt::format("{} is of backward and may not run twice", name_of(place));
    }
    if (op.recompute == Recompute::kNever) {
      return fmt::format("{} may not run twice: its recompute is \"never\"", name_of(place));
    }
    return std::nullopt;
  }

  Fault what_never_ran() const {
    std::vector<std::size_t> missing;
    for (std::size_t op = 0; op < graph_.ops.size(); ++op) {
      if (residency_.runs(op) == 0) missing.push_back(op);
    }
    if (missing.empty()) return std::nullopt;
    return fmt::format("{} of {} ops never ran, the first is {}", missing.size(), graph_.ops.size(),
                       name_of(missing.front()));
  }

  const OpGraph& graph_;
  const graph::IndexedGraph index_;
  plan::Residency residency_;
  std::size_t next_first_ = 0;  // first runs come in the graph's order
  std::int64_t action_ = 0;
  Simulation simulation_;
};

}  // namespace

Simulation simulate(const OpGraph& graph, const Plan& plan) {
  return GraphExecution(graph).run(plan);
}

}  // namespace remat

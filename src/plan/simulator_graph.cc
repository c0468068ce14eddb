// Executes a plan for an op graph (docs/formats.md, remat.plan/1).
#include <algorithm>
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
      : graph_(graph),
        index_(graph, source_of(graph)),
        resident_(graph.values.size()),
        drop_waits_(graph.values.size()),
        released_after_(graph.ops.size()),
        runs_(graph.ops.size()) {
    live_ = graph.fixed;
    for (std::size_t value = 0; value < graph.values.size(); ++value) {
      if (!index_.writer(value)) add(value);
      if (const auto op = index_.held_until(value)) released_after_[*op].push_back(value);
    }
    simulation_.peak = live_;
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
    const bool first = runs_[*place] == 0;
    const auto& op = graph_.ops[*place];
    const auto time = first ? op.time : op.recompute_time.value_or(op.time);
    if (auto fault = why_not_run(*place)) return fault;
    if (!plan::time_fits(simulation_, time)) return plan::kTimeTooLong;
    plan::record(simulation_, action_, {start(*place), time});
    finish(*place);
    return std::nullopt;
  }

  Fault operator()(DropValue drop) {
    const auto value = index_.find(drop.value);
    if (!value) return fmt::format("there is no value {}", drop.value);
    if (!resident_[*value]) return fmt::format("value {} is not resident", drop.value);
    const auto holder = index_.held_until(*value);
    if (holder && runs_[*holder] == 0) {
      drop_waits_[*value] = true;
    } else {
      remove(*value);
    }
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
      if (!resident_[value]) {
        return fmt::format("{} reads value {}, which is not resident", name_of(place),
                           graph_.values[value].id);
      }
    }
    if (runs_[place] == 0) {
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

  // Makes resident what the op writes. Returns the memory while it runs: what it writes has a second
  // copy where it was resident already, and on the first run takes the storage of what it reuses.
  Bytes start(std::size_t place) {
    const auto& op = index_.ops()[place];
    Bytes second_copies;
    for (const auto value : op.writes) {
      drop_waits_[value] = false;
      if (resident_[value]) second_copies += graph_.values[value].bytes;
    }
    if (runs_[place] == 0) {
      for (const auto& reuse : op.reuses) remove(reuse.read);
    }
    for (const auto value : op.writes) {
      if (!resident_[value]) add(value);
    }
    return live_ + second_copies + graph_.ops[place].workspace;
  }

  void finish(std::size_t place) {
    if (runs_[place]++ > 0) {
      ++simulation_.recomputed;
      return;
    }
    next_first_ = place + 1;
    for (const auto value : released_after_[place]) {
      if (drop_waits_[value]) remove(value);
    }
  }

  Fault what_never_ran() const {
    const auto missing = std::count(runs_.begin(), runs_.end(), 0);
    if (missing == 0) return std::nullopt;
    const auto first = std::find(runs_.begin(), runs_.end(), 0) - runs_.begin();
    return fmt::format("{} of {} ops never ran, the first is {}", missing, runs_.size(),
                       name_of(static_cast<std::size_t>(first)));
  }

  void add(std::size_t value) {
    resident_[value] = true;
    live_ += graph_.values[value].bytes;
  }

  void remove(std::size_t value) {
    resident_[value] = false;
    drop_waits_[value] = false;
    live_ -= graph_.values[value].bytes;
  }

  const OpGraph& graph_;
  const graph::IndexedGraph index_;
  std::vector<bool> resident_;
  std::vector<bool> drop_waits_;  // dropped, but still held from outside
  std::vector<std::vector<std::size_t>> released_after_;
  std::vector<std::int64_t> runs_;
  std::size_t next_first_ = 0;  // first runs come in the graph's order
  std::int64_t action_ = 0;
  Bytes live_;
  Simulation simulation_;
};

}  // namespace

Simulation simulate(const OpGraph& graph, const Plan& plan) {
  return GraphExecution(graph).run(plan);
}

}  // namespace remat

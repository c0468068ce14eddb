#include "plan/explanation.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include <remat/error.h>
#include <remat/simulator.h>

#include "base/check.h"
#include "base/text.h"
#include "graph/ids.h"
#include "graph/indexed_graph.h"
#include "graph/op_name.h"
#include "plan/kept_values.h"
#include "plan/residency.h"

namespace remat::plan {
namespace {

using std::chrono::nanoseconds;

/// Groups of what has the same name in different layers.
template <class Group>
class Groups {
 public:
  Group& of(const std::string& name) {
    Named& named = by_name_[graph::without_numbers(name)];
    named.names.insert(name);
    return named.group;
  }

  /// The largest first. `name`: the member for what a group has in common.
  std::vector<Group> sorted(std::string Group::*name) const {
    std::vector<Group> groups;
    groups.reserve(by_name_.size());
    for (const auto& [key, named] : by_name_) {
      groups.push_back(named.group);
      groups.back().*name = graph::common_name({named.names.begin(), named.names.end()});
    }
    std::stable_sort(groups.begin(), groups.end(),
                     [](const Group& a, const Group& b) { return a.bytes > b.bytes; });
    return groups;
  }

 private:
  struct Named {
    Group group;
    std::set<std::string> names;
  };
  std::map<std::string, Named> by_name_;
};

nanoseconds replay_time(const GraphOp& op) { return op.recompute_time.value_or(op.time); }

class Explainer {
 public:
  Explainer(const OpGraph& graph, const Plan& plan)
      : graph_(graph),
        plan_(plan),
        index_(graph, fmt::format("explain: op graph {}", quote(graph.name))),
        simulation_(simulate(graph, plan)) {
    REMAT_CHECK(simulation_.valid(), InvalidArgument,
                "explain: the plan is not one for op graph {}: action {}: {}; give a plan that was "
                "made for it",
                quote(graph.name), simulation_.fault->action, simulation_.fault->what);
    const auto kept = kept_values(graph, index_, plan);
    kept_.insert(kept.begin(), kept.end());
  }

  Explanation run() const { return {kept(), replayed(), binding()}; }

 private:
  bool may_run_again(std::size_t op) const {
    return graph_.ops[op].phase == Phase::kForward && graph_.ops[op].recompute != Recompute::kNever;
  }

  std::vector<KeptGroup> kept() const {
    Groups<KeptGroup> groups;
    std::set<std::size_t> counted;
    for (const auto value : kept_) {
      const auto writer = *index_.writer(value);
      const auto& op = graph_.ops[writer];
      auto& group = groups.of(op.name);
      ++group.values;
      group.bytes += graph_.values[value].bytes;
      if (!may_run_again(writer)) {
        group.pinned += graph_.values[value].bytes;
      } else if (counted.insert(writer).second) {
        group.replay_time += replay_time(op);
      }
    }
    return groups.sorted(&KeptGroup::made_by);
  }

  std::vector<ReplayedGroup> replayed() const {
    Groups<ReplayedGroup> groups;
    std::vector<std::int64_t> runs(graph_.ops.size());
    for (const auto& action : plan_.actions) {
      const auto* run = std::get_if<RunOp>(&action);
      if (run == nullptr) continue;
      const auto place = *index_.find(run->op);
      if (++runs[place] > 1) add_replay(groups.of(graph_.ops[place].name), place, runs[place] == 2);
    }
    return groups.sorted(&ReplayedGroup::made_by);
  }

  void add_replay(ReplayedGroup& group, std::size_t op, bool first_replay) const {
    ++group.replays;
    group.time += replay_time(graph_.ops[op]);
    if (!first_replay) return;
    for (const auto value : index_.ops()[op].writes) {
      if (kept_.contains(value)) continue;
      ++group.values;
      group.bytes += graph_.values[value].bytes;
    }
  }

  BindingMoment binding() const {
    Residency residency(graph_, index_);
    BindingMoment moment;
    moment.live = simulation_.peak;
    Groups<LiveGroup> groups;
    for (std::int64_t i = 0; i <= simulation_.peak_action; ++i) {
      const auto& action = plan_.actions[static_cast<std::size_t>(i)];
      if (const auto* drop = std::get_if<DropValue>(&action)) {
        residency.drop(*index_.find(drop->value));
        continue;
      }
      const auto op = *index_.find(std::get<RunOp>(action).op);
      if (i == simulation_.peak_action) describe(moment, groups, residency, op);
      residency.start(op);
      if (i < simulation_.peak_action) residency.finish(op);
    }
    add(groups, "fixed", 0, graph_.fixed);
    for (std::size_t value = 0; value < graph_.values.size(); ++value) {
      if (residency.holds(value)) add(groups, maker_of(value), 1, graph_.values[value].bytes);
    }
    moment.groups = groups.sorted(&LiveGroup::what);
    return moment;
  }

  // `residency` is that just before the op runs.
  void describe(BindingMoment& moment, Groups<LiveGroup>& groups, const Residency& residency,
                std::size_t place) const {
    const auto& op = graph_.ops[place];
    moment.op = fmt::format("{} (op {})", printable(op.name), op.id);
    moment.backward = op.phase == Phase::kBackward;
    moment.replay = residency.runs(place) > 0;
    add(groups, "workspace of the op", 0, op.workspace);
    for (const auto value : index_.ops()[place].writes) {
      if (residency.holds(value)) add(groups, "second copies", 1, graph_.values[value].bytes);
    }
  }

  static void add(Groups<LiveGroup>& groups, const std::string& what, std::int64_t values,
                  Bytes bytes) {
    if (values == 0 && bytes == Bytes()) return;
    auto& group = groups.of(what);
    group.values += values;
    group.bytes += bytes;
  }

  std::string maker_of(std::size_t value) const {
    const auto writer = index_.writer(value);
    return writer ? "made by " + graph_.ops[*writer].name : "inputs";
  }

  const OpGraph& graph_;
  const Plan& plan_;
  const graph::IndexedGraph index_;
  const Simulation simulation_;
  std::set<std::size_t> kept_;
};

}  // namespace

Explanation explain(const OpGraph& graph, const Plan& plan) { return Explainer(graph, plan).run(); }

}  // namespace remat::plan

#include "plan/step_profile.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <unordered_map>

#include <fmt/format.h>

#include <remat/placement.h>

#include "base/text.h"
#include "graph/indexed_graph.h"
#include "graph/op_name.h"
#include "plan/kept_values.h"
#include "plan/segment_plan.h"

namespace remat::plan {
namespace {

using std::chrono::nanoseconds;

/// Groups in the order in which they were met.
class Grouping {
 public:
  ProfileGroup& of(const std::string& name) {
    const auto [place, is_new] = place_of_.try_emplace(name, groups_.size());
    if (is_new) groups_.emplace_back().name = name;
    return groups_[place->second];
  }
  std::vector<ProfileGroup> groups() const { return groups_; }

 private:
  std::unordered_map<std::string, std::size_t> place_of_;
  std::vector<ProfileGroup> groups_;
};

void add(ProfileGroup& group, const GraphOp& op) {
  ++group.ops;
  (op.phase == Phase::kForward ? group.forward : group.backward) += op.time;
  group.workspace = std::max(group.workspace, op.workspace);
}

void add(ProfileGroup& group, const GraphValue& value) {
  ++group.values;
  group.kept += value.bytes;
}

bool same_ops(const OpGraph& a, const OpGraph& b) {
  return std::equal(a.ops.begin(), a.ops.end(), b.ops.begin(), b.ops.end(),
                    [](const GraphOp& x, const GraphOp& y) { return x.name == y.name; });
}

}  // namespace

StepProfile profile(const OpGraph& graph) {
  const Plan plain = plan_segments(graph, Placement::none());
  const graph::IndexedGraph index(graph, fmt::format("profile: op graph {}", quote(graph.name)));
  StepProfile profile;
  profile.peak = plain.predicted_peak;
  Grouping layers, kinds;
  const auto groups_of = [&](const GraphOp& op) {
    const graph::OpName name = graph::parse_op_name(op.name);
    return std::vector<ProfileGroup*>{&profile.all, &layers.of(graph::layer_of(name.place)),
                                      &kinds.of(name.kind)};
  };
  for (const GraphOp& op : graph.ops) {
    for (ProfileGroup* group : groups_of(op)) add(*group, op);
  }
  for (const std::size_t value : kept_values(graph, index, plain)) {
    for (ProfileGroup* group : groups_of(graph.ops[*index.writer(value)])) {
      add(*group, graph.values[value]);
    }
  }
  profile.layers = layers.groups();
  std::stable_partition(profile.layers.begin(), profile.layers.end(),
                        [](const ProfileGroup& layer) { return !layer.name.empty(); });
  profile.kinds = kinds.groups();
  std::stable_sort(
      profile.kinds.begin(), profile.kinds.end(),
      [](const ProfileGroup& a, const ProfileGroup& b) { return a.time() > b.time(); });
  return profile;
}

OpGraph with_median_times(const std::vector<OpGraph>& graphs) {
  OpGraph result = graphs.back();
  std::vector<const OpGraph*> alike;
  for (const OpGraph& graph : graphs) {
    if (same_ops(graph, result)) alike.push_back(&graph);
  }
  for (std::size_t op = 0; op < result.ops.size(); ++op) {
    std::vector<nanoseconds> times;
    for (const OpGraph* graph : alike) times.push_back(graph->ops[op].time);
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>((times.size() - 1) / 2);
    std::nth_element(times.begin(), middle, times.end());
    result.ops[op].time = *middle;
  }
  return result;
}

}  // namespace remat::plan

#include "tape/step_plan.h"

#include <unordered_map>
#include <utility>
#include <variant>

namespace remat::tape {
namespace {

/// Where a plan needs the packed form of a value later: which drops of the value leave it behind, and which
/// runs of its operator make it; by action.
std::vector<char> packed_forms_needed(const StepGraph& step, const Plan& plan) {
  std::unordered_map<std::int32_t, bool> unpacked_later;
  const auto value_at = [&](ValueId id) { return step.value_of[static_cast<std::size_t>(id)]; };
  const auto packed_at = [&](ValueId id) {
    return step.packed_value[static_cast<std::size_t>(id)];
  };
  const auto note = [&](ValueIndex value, bool later) {
    if (value != ValueIndex::kNone) unpacked_later[static_cast<std::int32_t>(value)] = later;
  };
  std::vector<char> packs(plan.actions.size(), 0);
  for (std::size_t i = plan.actions.size(); i-- > 0;) {
    if (const auto* drop = std::get_if<DropValue>(&plan.actions[i])) {
      const ValueIndex value = value_at(drop->value);
      const auto later = unpacked_later.find(static_cast<std::int32_t>(value));
      packs[i] = value != ValueIndex::kNone && later != unpacked_later.end() && later->second;
      note(packed_at(drop->value), false);
      continue;
    }
    const GraphOp& op =
        step.graph.ops[static_cast<std::size_t>(std::get<RunOp>(plan.actions[i]).op)];
    for (const ValueId written : op.writes) {
      const auto later = unpacked_later.find(static_cast<std::int32_t>(packed_at(written)));
      if (later != unpacked_later.end() && later->second) packs[i] = 1;
      note(packed_at(written), false);
    }
    for (const ValueId read : op.reads) note(packed_at(read), true);
  }
  return packs;
}

/// Writes a plan down, moment by moment.
class PlanCompiler {
 public:
  PlanCompiler(const StepGraph& step, StepPlan& compiled)
      : step_(step),
        compiled_(compiled),
        ran_(step.graph.ops.size(), 0),
        resident_(static_cast<std::size_t>(step.values), 0) {}

  void compile(const Plan& plan) {
    const std::vector<char> packed = packed_forms_needed(step_, plan);
    for (std::size_t i = 0; i < plan.actions.size(); ++i) {
      if (const auto* drop = std::get_if<DropValue>(&plan.actions[i])) {
        add_drop(static_cast<std::size_t>(drop->value), packed[i] != 0);
      } else {
        add_run(static_cast<std::size_t>(std::get<RunOp>(plan.actions[i]).op), packed[i] != 0);
      }
    }
  }

 private:
  void add(StepPlan::Kind kind, ValueIndex value, bool continues = false) {
    if (value != ValueIndex::kNone) {
      compiled_.entries.push_back({kind, continues, static_cast<std::int32_t>(value)});
    }
  }

  char& resident(ValueIndex value) { return resident_[at_place(value)]; }

  void add_run(std::size_t index, bool packs) {
    const GraphOp& op = step_.graph.ops[index];
    const std::int32_t event = step_.event_of_op[index];
    if (ran_[index] != 0) {
      add_replay(op, packs);
    } else if (event != kNoEvent) {
      compiled_.entries.push_back({StepPlan::Kind::kFirst, false, event});
      compiled_.has_entry[static_cast<std::size_t>(event)] = 1;
    }
    ran_[index] = 1;
    for (const ValueId written : op.writes) {
      const ValueIndex value = step_.value_of[static_cast<std::size_t>(written)];
      if (value != ValueIndex::kNone) resident(value) = 1;
    }
  }

  void add_replay(const GraphOp& op, bool packs) {
    const std::size_t before = compiled_.entries.size();
    const auto add_value = [&](ValueIndex value) {
      add(StepPlan::Kind::kReplay, value, compiled_.entries.size() > before);
    };
    ValueIndex to_pack = ValueIndex::kNone;
    for (const ValueId written : op.writes) {
      add_value(step_.value_of[static_cast<std::size_t>(written)]);
      const ValueIndex packed = step_.packed_value[static_cast<std::size_t>(written)];
      // One that is in memory is packed when the plan lets go of it.
      if (!packs || packed == ValueIndex::kNone || resident(packed) != 0) continue;
      add_value(packed);
      to_pack = packed;
    }
    add(StepPlan::Kind::kPack, to_pack);
  }

  void add_drop(std::size_t id, bool packs) {
    const ValueIndex value = step_.value_of[id];
    add(packs ? StepPlan::Kind::kPack : StepPlan::Kind::kDrop, value);
    add(StepPlan::Kind::kDropPacked, step_.packed_value[id]);
    if (value != ValueIndex::kNone) resident(value) = 0;
  }

  const StepGraph& step_;
  StepPlan& compiled_;
  std::vector<char> ran_;       // by operator
  std::vector<char> resident_;  // by value
};

}  // namespace

StepPlan compile(StepGraph graph, Plan plan) {
  StepPlan compiled;
  compiled.has_entry.resize(graph.signatures.size(), 0);
  compiled.decides.resize(static_cast<std::size_t>(graph.values), 0);
  for (const ValueIndex value : graph.value_of) {
    if (value != ValueIndex::kNone) compiled.decides[at_place(value)] = 1;
  }
  PlanCompiler(graph, compiled).compile(plan);
  compiled.graph = std::move(graph);
  compiled.plan = std::move(plan);
  return compiled;
}

}  // namespace remat::tape

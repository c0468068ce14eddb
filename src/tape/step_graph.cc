#include "tape/step_graph.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "graph/op_name.h"
#include "tape/op_places.h"
#include "tape/packed_forms.h"
#include "tape/usual_times.h"

namespace remat::tape {
namespace {

constexpr std::int32_t kNowhere = -1;

/// Builds the graph moment by moment.
class GraphBuilder {
 public:
  GraphBuilder(const StepRecord& record, const MomentMeter& meter, const ParameterNames& names)
      : record_(record),
        meter_(meter),
        places_(record, names),
        nanoseconds_(usual_times(record)),
        id_of_(static_cast<std::size_t>(record.values.size()), kNowhere),
        op_of_moment_(static_cast<std::size_t>(record.moments.size()), kNowhere) {
    result_.graph.name = "step";
    result_.graph.device = "cpu";
    result_.signatures.assign(record.events.begin(), record.events.end());
    result_.last_asked = last_asked_event(record);
    result_.values = record.values.size();
  }

  StepGraph build(Bytes at_start) {
    find_fixed();
    result_.at_start = at_start;
    result_.graph.fixed = at_start + Bytes(fixed_);
    for (std::int32_t i = 0; i < record_.moments.size(); ++i) {
      const auto index = static_cast<MomentIndex>(i);
      if (record_.moments[index].op != OpIndex::kNone) {
        add_forward(index);
      } else {
        add_other(index);
      }
    }
    add_holders();
    add_places();
    add_packed_forms(result_, record_);
    return std::move(result_);
  }

 private:
  // What is allocated beside plannable values after a moment.
  std::int64_t others_after(const Moment& moment) const {
    return moment.live_after - moment.alive_after;
  }

  void find_fixed() {
    std::int64_t least = 0;  // relative to the start of the step
    std::int64_t peak = 1;
    for (const Moment& moment : record_.moments) {
      least = std::min(least, others_after(moment));
      peak = std::max(peak, moment.live_after);
    }
    fixed_ = least;
    // So that not every few bytes become an operator of their own.
    quantum_ = std::max<std::int64_t>(peak / 4096, 64);
  }

  std::int64_t carry_after(const Moment& moment) const {
    const std::int64_t bytes = others_after(moment) - fixed_;
    return (bytes + quantum_ - 1) / quantum_ * quantum_;
  }

  GraphOp& add_op(std::string name, Phase phase, MomentIndex moment) {
    GraphOp op;
    op.id = static_cast<OpId>(result_.graph.ops.size());
    op.name = std::move(name);
    op.phase = phase;
    op.recompute = Recompute::kNever;
    result_.graph.ops.push_back(std::move(op));
    moment_of_op_.push_back(moment);
    result_.event_of_op.push_back(moment == MomentIndex::kNone ? kNoEvent
                                                               : record_.moments[moment].event);
    return result_.graph.ops.back();
  }

  ValueId add_value(std::int64_t bytes, ValueIndex value) {
    GraphValue added;
    added.id = static_cast<ValueId>(result_.graph.values.size());
    added.bytes = Bytes(bytes);
    result_.graph.values.push_back(added);
    result_.value_of.push_back(value);
    if (value != ValueIndex::kNone) {
      id_of_[at_place(value)] = static_cast<std::int32_t>(added.id);
    }
    return added.id;
  }

  void add_forward(MomentIndex index) {
    const Moment& moment = record_.moments[index];
    const Op& op = record_.ops[moment.op];
    const std::int32_t host = fusion_host(op);
    if (host != kNowhere) {
      fuse(host, index, op);
      op_of_moment_[at_place(index)] = host;
    } else {
      const bool makes = makes_plannable(op);
      GraphOp& added = add_op(op.traits->name, Phase::kForward, index);
      added.time = time_of(index);
      added.workspace = Bytes(workspace(moment, carry_));
      if (makes) added.recompute = op.rng >= 0 ? Recompute::kRng : Recompute::kPure;
      op_of_moment_[at_place(index)] = static_cast<std::int32_t>(added.id);
      if (!op.traits->makes_fresh) add_reads(op, added.id);
      add_writes(op, added.id);
    }
    if (carry_after(moment) != carry_) {
      add_op("remat::other_memory", Phase::kForward, MomentIndex::kNone);
      move_carry(carry_after(moment));
    }
  }

  bool makes_plannable(const Op& op) const {
    for (std::int32_t i = op.outputs.begin; i < op.outputs.end; ++i) {
      if (record_.values[record_.outputs[i].value].sound) return true;
    }
    return false;
  }

  std::int64_t workspace(const Moment& moment, std::int64_t carry) const {
    return std::max<std::int64_t>(moment.others_peak - moment.came - fixed_ - carry, 0);
  }

  GraphOp& op_at(OpId id) { return result_.graph.ops[static_cast<std::size_t>(id)]; }

  static void add_once(std::vector<ValueId>& ids, ValueId id) {
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }

  void add_reads(const Op& op, OpId id) {
    for (std::int32_t i = op.arguments.begin; i < op.arguments.end; ++i) {
      const ValueIndex value = record_.arguments[i].value;
      if (value == ValueIndex::kNone || id_of_[at_place(value)] == kNowhere) continue;
      const auto read = static_cast<ValueId>(id_of_[at_place(value)]);
      auto& writes = op_at(id).writes;
      if (std::find(writes.begin(), writes.end(), read) == writes.end()) {
        add_once(op_at(id).reads, read);
      }
    }
  }

  void add_writes(const Op& op, OpId id) {
    for (std::int32_t i = op.outputs.begin; i < op.outputs.end; ++i) {
      const Output& output = record_.outputs[i];
      const Value& value = record_.values[output.value];
      if (!value.plannable) continue;
      const ValueId written = add_value(value.bytes, output.value);
      op_at(id).writes.push_back(written);
      if (!value.written) continue;
      const ValueIndex old = record_.arguments[op.arguments.begin + output.argument].value;
      if (id_of_[at_place(old)] == kNowhere) continue;
      op_at(id).reuses.push_back({static_cast<ValueId>(id_of_[at_place(old)]), written});
    }
  }

  /// The graph's operator that `op` is one with: what it does in place nobody else sees.
  std::int32_t fusion_host(const Op& op) const {
    if (op.outputs.size() != 1 || !op.sound) return kNowhere;
    const Output& output = record_.outputs[op.outputs.begin];
    if (output.argument < 0) return kNowhere;
    const TensorArgument& place = record_.arguments[op.arguments.begin + output.argument];
    const Value& old = record_.values[place.value];
    if (!old.plannable || old.readers != (place.overwritten ? 0 : 1)) return kNowhere;
    for (std::int32_t i = op.arguments.begin; i < op.arguments.end; ++i) {
      const ValueIndex read = record_.arguments[i].value;
      if (read == ValueIndex::kNone || read == place.value) continue;
      const Value& value = record_.values[read];
      if (value.plannable && value.maker >= old.maker) return kNowhere;
    }
    return id_of_[at_place(place.value)] == kNowhere
               ? kNowhere
               : op_of_moment_[at_place(record_.ops[old.maker].moment)];
  }

  std::chrono::nanoseconds time_of(MomentIndex moment) const {
    return std::chrono::nanoseconds(nanoseconds_[at_place(moment)]);
  }

  void fuse(std::int32_t host, MomentIndex index, const Op& op) {
    const Moment& moment = record_.moments[index];
    const auto id = static_cast<OpId>(host);
    const Output& output = record_.outputs[op.outputs.begin];
    const ValueIndex old = record_.arguments[op.arguments.begin + output.argument].value;
    const std::int32_t value = id_of_[at_place(old)];
    id_of_[at_place(output.value)] = value;
    result_.value_of[static_cast<std::size_t>(value)] = output.value;
    GraphOp& added = op_at(id);
    added.name += " " + op.traits->name;
    added.time += time_of(index);
    added.workspace = std::max(added.workspace, Bytes(workspace(moment, carry_)));
    if (op.rng >= 0 || added.recompute == Recompute::kNever) {
      added.recompute = op.rng >= 0 ? Recompute::kRng : Recompute::kPure;
    }
    add_reads(op, id);
  }

  void add_other(MomentIndex index) {
    const Moment& moment = record_.moments[index];
    const std::string node = moment.node < 0 ? "autograd" : record_.nodes[moment.node];
    // What ran before backward began is no part of it.
    is_backward_ = is_backward_ || moment.in_pass;
    GraphOp& added = add_op(node, is_backward_ ? Phase::kBackward : Phase::kForward, index);
    added.time = time_of(index);
    op_of_moment_[at_place(index)] = static_cast<std::int32_t>(added.id);
    const OpId id = added.id;
    for (std::int32_t i = moment.asked.begin; i < moment.asked.end; ++i) {
      const ValueIndex value = record_.asked[i];
      if (id_of_[at_place(value)] == kNowhere) continue;
      add_once(op_at(id).reads, static_cast<ValueId>(id_of_[at_place(value)]));
    }
    move_carry(carry_after(moment));
    op_at(id).workspace = Bytes(workspace(moment, carry_));
  }

  /// Lets the last operator change what is allocated beside values to `bytes`.
  void move_carry(std::int64_t bytes) {
    const OpId id = result_.graph.ops.back().id;
    if (carry_ > 0) op_at(id).reads.push_back(carry_value_);
    if (bytes > 0) {
      const ValueId old = carry_value_;
      carry_value_ = add_value(bytes, ValueIndex::kNone);
      op_at(id).writes.push_back(carry_value_);
      if (carry_ > 0) op_at(id).reuses.push_back({old, carry_value_});
    }
    carry_ = bytes;
  }

  /// Says how long others than the tape held the values.
  void add_holders() {
    for (std::size_t id = 0; id < result_.value_of.size(); ++id) {
      const ValueIndex value = result_.value_of[id];
      if (value == ValueIndex::kNone) continue;
      const MomentIndex since = meter_.exclusive_since(value);
      const std::int32_t made =
          op_of_moment_[at_place(record_.ops[record_.values[value].maker].moment)];
      const std::int32_t until = since == MomentIndex::kNone
                                     ? static_cast<std::int32_t>(result_.graph.ops.size()) - 1
                                     : op_of_moment_[at_place(since)];
      if (until > made) result_.graph.values[id].held_until = static_cast<OpId>(until);
    }
  }

  /// Says what values are, and where in the model ops are. An op that made what the user named is there.
  void add_places() {
    for (std::size_t id = 0; id < result_.value_of.size(); ++id) {
      if (result_.value_of[id] != ValueIndex::kNone) describe(id, result_.value_of[id]);
    }
    for (const auto& [value, name] : record_.names) {
      const std::int32_t id = id_of_[at_place(value)];
      if (id == kNowhere) continue;
      result_.graph.values[static_cast<std::size_t>(id)].name = places_.name_of(value);
    }
    for (std::size_t id = 0; id < result_.graph.ops.size(); ++id) {
      const MomentIndex moment = moment_of_op_[id];
      if (moment == MomentIndex::kNone) continue;
      GraphOp& op = result_.graph.ops[id];
      std::string place = places_.of(record_.moments[moment]);
      for (const ValueId written : op.writes) {
        const std::string& name = result_.graph.values[static_cast<std::size_t>(written)].name;
        if (!name.empty()) place = name;
      }
      op.name = graph::to_string({std::move(place), std::move(op.name)});
    }
  }

  void describe(std::size_t id, ValueIndex index) {
    GraphValue& described = result_.graph.values[id];
    const Value& value = record_.values[index];
    const Output& output = record_.outputs[record_.ops[value.maker].outputs.begin + value.output];
    const torch_bridge::StorageView view = record_.view(output.view);
    described.dtype = c10::toString(view.dtype);
    described.shape.emplace(view.sizes.begin(), view.sizes.end());
  }

  const StepRecord& record_;
  const MomentMeter& meter_;
  OpPlaces places_;
  std::vector<std::int64_t> nanoseconds_;  // by moment
  StepGraph result_;
  std::vector<std::int32_t> id_of_;         // by value
  std::vector<std::int32_t> op_of_moment_;  // by moment
  std::vector<MomentIndex> moment_of_op_;
  bool is_backward_ = false;
  std::int64_t fixed_ = 0, quantum_ = 1;
  std::int64_t carry_ = 0;
  ValueId carry_value_{};
};

}  // namespace

StepGraph graph_of(const StepRecord& record, const MomentMeter& meter, const ParameterNames& names,
                   Bytes at_start) {
  return GraphBuilder(record, meter, names).build(at_start);
}

std::int32_t last_asked_event(const StepRecord& record) {
  std::int32_t last = kNoEvent;
  for (const Moment& moment : record.moments) {
    if (moment.asked.size() > 0) last = moment.event;
  }
  return last;
}

}  // namespace remat::tape

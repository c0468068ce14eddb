#include "tape/packed_forms.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "graph/op_name.h"

namespace remat::tape {
namespace {

// What a smaller value would save is not worth an operator in the graph.
constexpr std::int64_t kSmallest = std::int64_t{16} << 10;

// Packing is timed so often, and the least counts: it is short, and whatever else runs makes it longer.
constexpr int kTimings = 3;

std::int32_t key_of(ValueIndex value) { return static_cast<std::int32_t>(value); }

}  // namespace

// ---- the values -------------------------------------------------------------------------------------------

bool PackedForms::is_worth_probing(ValueIndex index) const {
  const Value& value = record_.values[index];
  return value.sound && value.bytes >= kSmallest && probed_.count(key_of(index)) == 0;
}

void PackedForms::probe(ValueIndex value, const c10::Storage& storage) {
  using Clock = std::chrono::steady_clock;
  if (!is_worth_probing(value)) return;
  probed_.insert(key_of(value));
  PackCost cost{value, 0, std::numeric_limits<std::int64_t>::max()};
  for (int i = 0; i < kTimings; ++i) {
    const auto began = Clock::now();
    const auto found = packed(value, storage);
    if (!found) return;
    const std::chrono::nanoseconds passed = Clock::now() - began;
    cost.bytes = found->bytes();
    cost.nanoseconds = std::min<std::int64_t>(cost.nanoseconds, passed.count());
  }
  record_.packs.add(cost);
}

bool PackedForms::pack(ValueIndex value, const c10::Storage& storage) {
  auto found = packed(value, storage);
  if (!found) return false;
  packed_.insert_or_assign(key_of(value), std::move(*found));
  return true;
}

c10::Storage PackedForms::unpacked(ValueIndex value) const {
  const auto found = packed_.find(key_of(value));
  return found == packed_.end() ? c10::Storage() : found->second.unpack().storage();
}

std::optional<PackedValue> PackedForms::packed(ValueIndex index,
                                               const c10::Storage& storage) const {
  const Value& value = record_.values[index];
  const Op& maker = record_.ops[value.maker];
  const Output& output = record_.outputs[maker.outputs.begin + value.output];
  const at::Tensor tensor = torch_bridge::tensor_on(storage, record_.view(output.view));
  // A packed tensor begins its storage, and has no bytes beside it.
  if (tensor.storage_offset() != 0 || tensor.nbytes() != storage.nbytes()) return std::nullopt;
  return tape::pack(tensor);
}

// ---- the graph --------------------------------------------------------------------------------------------

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

class FormAdder {
 public:
  FormAdder(StepGraph& step, const StepRecord& record) : step_(step), record_(record) {}

  void add() {
    step_.packed_value.assign(step_.graph.values.size(), ValueIndex::kNone);
    find_forms();
    if (form_of_maker_.empty()) return;
    number_operators();
    renumber_holders();
    add_operators();
  }

 private:
  struct Form {
    ValueId value{};
    Bytes packed;
    std::chrono::nanoseconds time{0};  // packing it once, and unpacking it
  };

  void find_forms() {
    std::unordered_map<std::int32_t, ValueId> id_of;
    for (std::size_t id = 0; id < step_.value_of.size(); ++id) {
      id_of.emplace(key_of(step_.value_of[id]), static_cast<ValueId>(id));
    }
    const std::vector<std::size_t> makers = makers_of_values();
    for (const PackCost& cost : record_.packs) {
      const auto found = id_of.find(key_of(cost.value));
      if (found == id_of.end()) continue;
      const Form form{found->second, Bytes(cost.bytes),
                      std::chrono::nanoseconds(2 * cost.nanoseconds)};
      const std::size_t maker = makers[static_cast<std::size_t>(form.value)];
      // One form for each operator: a second would be charged to it again.
      if (maker != kNone && step_.graph.ops[maker].time > form.time)
        form_of_maker_.emplace(maker, form);
    }
  }

  /// Of each value the operator that makes it in memory of its own, which it keeps, if that can run again.
  std::vector<std::size_t> makers_of_values() const {
    std::vector<std::size_t> makers(step_.graph.values.size(), kNone);
    for (std::size_t i = 0; i < step_.graph.ops.size(); ++i) {
      const GraphOp& op = step_.graph.ops[i];
      if (op.recompute == Recompute::kNever) continue;
      for (const ValueId written : op.writes) makers[static_cast<std::size_t>(written)] = i;
    }
    for (const GraphOp& op : step_.graph.ops) {
      for (const StorageReuse& reuse : op.reuses) {
        makers[static_cast<std::size_t>(reuse.read)] = kNone;
        makers[static_cast<std::size_t>(reuse.written)] = kNone;
      }
    }
    return makers;
  }

  /// Behind each operator with a form comes the one that unpacks it.
  void number_operators() {
    std::int64_t next = 0;
    for (std::size_t i = 0; i < step_.graph.ops.size(); ++i) {
      new_id_.push_back(static_cast<OpId>(next++));
      if (form_of_maker_.count(i) > 0) ++next;
    }
  }

  void renumber_holders() {
    for (GraphValue& value : step_.graph.values) {
      if (value.held_until) value.held_until = new_id_[static_cast<std::size_t>(*value.held_until)];
    }
  }

  void add_operators() {
    std::vector<GraphOp> ops;
    std::vector<std::int32_t> events;
    for (std::size_t i = 0; i < step_.graph.ops.size(); ++i) {
      GraphOp op = std::move(step_.graph.ops[i]);
      op.id = new_id_[i];
      const auto form = form_of_maker_.find(i);
      std::optional<GraphOp> unpack;
      if (form != form_of_maker_.end()) unpack = split(op, form->second);
      ops.push_back(std::move(op));
      events.push_back(step_.event_of_op[i]);
      if (!unpack) continue;
      ops.push_back(std::move(*unpack));
      events.push_back(kNoEvent);
    }
    step_.graph.ops = std::move(ops);
    step_.event_of_op = std::move(events);
  }

  /// Has `maker` make the packed form; returns the operator that makes the value of it.
  GraphOp split(GraphOp& maker, const Form& form) {
    const ValueId packed = add_value(form);
    std::replace(maker.writes.begin(), maker.writes.end(), form.value, packed);
    maker.workspace += step_.graph.values[static_cast<std::size_t>(form.value)].bytes;
    maker.time -= form.time;
    GraphOp unpack;
    unpack.id = static_cast<OpId>(static_cast<std::int64_t>(maker.id) + 1);
    unpack.name = graph::to_string({graph::parse_op_name(maker.name).place, "remat::unpack"});
    unpack.phase = maker.phase;
    unpack.time = form.time;
    unpack.reads = {packed};
    unpack.writes = {form.value};
    return unpack;
  }

  ValueId add_value(const Form& form) {
    GraphValue packed;
    packed.id = static_cast<ValueId>(step_.graph.values.size());
    packed.bytes = form.packed;
    step_.graph.values.push_back(packed);
    step_.packed_value.push_back(step_.value_of[static_cast<std::size_t>(form.value)]);
    step_.value_of.push_back(ValueIndex::kNone);
    return packed.id;
  }

  StepGraph& step_;
  const StepRecord& record_;
  std::unordered_map<std::size_t, Form> form_of_maker_;  // by operator
  std::vector<OpId> new_id_;                             // by operator
};

}  // namespace

void add_packed_forms(StepGraph& step, const StepRecord& record) { FormAdder(step, record).add(); }

}  // namespace remat::tape

// What operators made and overwrote, as a recorder notes it.
#include "tape/constants.h"
#include "tape/recorder.h"
#include "torch_bridge/stack_tensors.h"

namespace remat::tape {

using torch_bridge::OpTraits;

// ---- what an operator makes -------------------------------------------------------------------------

bool Recorder::end(torch_bridge::OpCall& call, OpenOp& open) {
  const std::int32_t first = record_.outputs.size();
  record_.ops[open.index].outputs = {first, first};
  for (const Written& written : open.written) add_written(open, written);
  add_results(torch::jit::last(call.stack(), call.result_count()), open);
  record_.ops[open.index].outputs.end = record_.outputs.size();
  const bool made_any = record_.outputs.size() > first;
  ++(open.repeats ? verified_ : recorded_);
  if (!made_any) give_back_reads(open);
  return made_any;
}

void Recorder::add_written(const OpenOp& open, const Written& written) {
  const Op& op = record_.ops[open.index];
  const TensorArgument argument = record_.arguments[op.arguments.begin + written.argument];
  const at::Tensor& tensor = written.tensor;
  const auto [slot, is_new] = record_.find_or_add(tensor.storage());
  if (is_new) {  // exchanged for one that the step has not met
    add_leaf(tensor, slot);
    return;
  }
  const ValueIndex old = record_.slots[slot].current;
  if (op.traits->exchanges_storage || record_.values[old].maker == open.index) return;
  Output output;
  output.argument = written.argument;
  const Value& base = record_.values[old];
  // Memory from outside the step stays whatever is written into it.
  const bool base_is_known = argument.overwritten ? base.origin != Origin::kOutside : base.sound;
  const bool recipe = op.sound && !op.traits->resizes && base_is_known;
  replace(old, recipe ? add_made(tensor, output, slot, open) : add_leaf(tensor, slot));
}

void Recorder::add_results(c10::ArrayRef<c10::IValue> results, const OpenOp& open) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    Output output;
    output.result = static_cast<std::int32_t>(i);
    if (results[i].isTensor()) {
      add_result(results[i].toTensor(), output, open);
    } else if (results[i].isList()) {
      for (const c10::IValue& element : results[i].toListRef()) {
        ++output.element;
        if (element.isTensor()) add_result(element.toTensor(), output, open);
      }
    }
  }
}

void Recorder::add_result(const at::Tensor& tensor, Output output, const OpenOp& open) {
  if (!torch_bridge::is_plain(tensor)) return;
  const auto [slot, is_new] = record_.find_or_add(tensor.storage());
  if (is_new) add_made(tensor, output, slot, open);  // otherwise a view
}

ValueIndex Recorder::add_made(const at::Tensor& tensor, Output output, SlotIndex slot,
                              const OpenOp& open) {
  const Op& op = record_.ops[open.index];
  Value value;
  value.origin = op.traits->makes_fresh ? Origin::kFresh : Origin::kMade;
  value.sound = op.sound && tensor.device() == home_.device();
  value.written = output.argument >= 0;
  value.slot = slot;
  value.maker = open.index;
  value.output = record_.outputs.size() - op.outputs.begin;
  value.bytes = static_cast<std::int64_t>(tensor.storage().nbytes());
  value.device = tensor.device();
  output.value = record_.values.add(std::move(value));
  output.view = record_.add_view(slot, torch_bridge::view_of(tensor));
  record_.outputs.add(output);
  record_.slots[slot].current = output.value;
  events_.value_made(output.value, tensor.storage());
  return output.value;
}

ValueIndex Recorder::add_leaf(const at::Tensor& tensor, SlotIndex slot) {
  Value value;
  value.slot = slot;
  value.bytes = static_cast<std::int64_t>(tensor.storage().nbytes());
  value.device = tensor.device();
  value.held = tensor.storage();
  const ValueIndex index = record_.values.add(std::move(value));
  record_.slots[slot].current = index;
  return index;
}

void Recorder::replace(ValueIndex old, ValueIndex by) { events_.value_overwritten(old, by); }

/// Of an operator that is nobody's recipe.
void Recorder::give_back_reads(const OpenOp& open) {
  record_.ops[open.index].moment = MomentIndex::kNone;
  for (std::int32_t i = open.arguments_begin; i < record_.arguments.size(); ++i) {
    const TensorArgument& argument = record_.arguments[i];
    if (argument.value != ValueIndex::kNone && !argument.overwritten) {
      --record_.values[argument.value].readers;
    }
  }
}

/// An operator that did not run.
void Recorder::forget(const OpenOp& open) {
  give_back_reads(open);
  for (std::int32_t i = open.constants_begin; i < record_.constants.size(); ++i) {
    if (refers_to_others(record_.constants[i])) record_.constants[i] = c10::IValue();
  }
  record_.ops.truncate(static_cast<std::int32_t>(open.index));
  record_.arguments.truncate(open.arguments_begin);
  record_.constants.truncate(open.constants_begin);
}

// ---- writes by what is not recorded -----------------------------------------------------------------

std::vector<Recorder::Overwritten> Recorder::begin_unrecorded_writes(torch_bridge::OpCall& call,
                                                                     const OpTraits& traits) {
  std::vector<Overwritten> overwritten;
  const auto arguments = torch::jit::last(call.stack(), call.argument_count());
  torch_bridge::for_each_written_argument(traits.writes, arguments, [&](std::uint32_t index) {
    torch_bridge::for_each_tensor(arguments[index], [&](const at::Tensor& tensor) {
      if (!torch_bridge::is_plain(tensor)) return;
      events_.overwritten_unrecorded(tensor);
      const SlotIndex slot = record_.find(tensor.storage().unsafeGetStorageImpl());
      if (slot == SlotIndex::kNone) return;
      const ValueIndex old = record_.slots[slot].current;
      if (!record_.values[old].sound) save_leaf(old, false, tensor);
      overwritten.push_back({old, tensor});
    });
  });
  tell_of_lost_leaves();
  return overwritten;
}

void Recorder::end_unrecorded_writes(const std::vector<Overwritten>& written) {
  for (const Overwritten& place : written) {
    const SlotIndex slot = record_.find(place.tensor.storage().unsafeGetStorageImpl());
    if (slot == SlotIndex::kNone || record_.slots[slot].current != place.old) continue;
    replace(place.old, add_leaf(place.tensor, slot));
  }
}

}  // namespace remat::tape

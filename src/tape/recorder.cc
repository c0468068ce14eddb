#include "tape/recorder.h"

#include "tape/constants.h"
#include "torch_bridge/repeated_call.h"
#include "torch_bridge/stack_tensors.h"
#include "torch_bridge/tensor_alias.h"

namespace remat::tape {
namespace {

using torch_bridge::OpTraits;

// A leaf of at most this size is copied when it is overwritten, without asking who needs it.
constexpr std::int64_t kSmallLeaf = std::int64_t{64} << 10;

/// The arguments that a call writes, as bits; operators have fewer than 64.
std::uint64_t written_arguments(const OpTraits& traits, c10::ArrayRef<c10::IValue> arguments) {
  std::uint64_t bits = 0;
  torch_bridge::for_each_written_argument(
      traits.writes, arguments, [&](std::uint32_t index) { bits |= std::uint64_t{1} << index; });
  return bits;
}

/// Whether nothing is left of what the argument holds.
bool is_overwritten(const TensorArgument& place, const at::Tensor& tensor, const OpTraits& traits) {
  return place.written && traits.overwrites && torch_bridge::covers_storage(tensor);
}

}  // namespace

// ---- what an operator reads -------------------------------------------------------------------------

Recorder::OpenOp Recorder::begin(torch_bridge::OpCall& call, const OpTraits& traits) {
  const auto arguments = torch::jit::last(call.stack(), call.argument_count());
  OpenOp open = this->open(traits);
  add_arguments(arguments, open);
  add_constants(arguments);
  Op& op = record_.ops[open.index];
  const Range read{open.arguments_begin, record_.arguments.size()};
  open.repeats = open.repeats && op.arguments.end == read.end;
  op.arguments = read;
  op.constants = {open.constants_begin, record_.constants.size()};
  judge(op, arguments);
  if (!open.written.empty()) save_leaves_from(op, open.written);
  return open;
}

Recorder::OpenOp Recorder::open(const OpTraits& traits) {
  OpenOp open{record_.ops.next(), record_.arguments.size(), record_.constants.size(), false, 0, {}};
  const auto state = torch_bridge::CallState::current();
  open.identity = mixed(traits.identity, state.grad_mode ? 1 : 0);
  const Op* const before = record_.ops.ahead();
  open.repeats = before != nullptr && before->traits == &traits && before->state == state &&
                 before->arguments.begin == open.arguments_begin;
  if (open.repeats) {
    Op& op = record_.ops[record_.ops.keep()];
    op.outputs = {};
    op.moment = MomentIndex::kNone;
    op.nanoseconds = 0;
  } else {
    Op op;
    op.traits = &traits;
    op.state = state;
    record_.ops.add(op);
  }
  return open;
}

void Recorder::add_arguments(c10::ArrayRef<c10::IValue> arguments, OpenOp& open) {
  const std::uint64_t written = written_arguments(*record_.ops[open.index].traits, arguments);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    TensorArgument place;
    place.argument = static_cast<std::int32_t>(i);
    place.written = (written >> i & 1) != 0;
    if (arguments[i].isTensor()) {
      add_argument(arguments[i].toTensor(), place, open);
    } else if (arguments[i].isList()) {
      for (const c10::IValue& element : arguments[i].toListRef()) {
        ++place.element;
        if (element.isTensor()) add_argument(element.toTensor(), place, open);
      }
    }
  }
}

void Recorder::add_argument(const at::Tensor& tensor, const TensorArgument& place, OpenOp& open) {
  if (!tensor.defined()) return;
  const OpTraits& traits = *record_.ops[open.index].traits;
  open.repeats = open.repeats && keep_argument(place, tensor, traits);
  if (!open.repeats) record_.arguments.add(argument_at(place, tensor, traits));
  const std::int32_t index = record_.arguments.size() - 1;
  const TensorArgument& argument = record_.arguments[index];
  open.identity = mixed(open.identity, static_cast<std::uint64_t>(argument.value));
  if (argument.value == ValueIndex::kNone) return;
  open.identity = mixed(open.identity, record_.signature_of(argument.view));
  if (!argument.overwritten) read(tensor, argument);
  if (argument.written) open.written.push_back({index - open.arguments_begin, tensor});
}

/// Whether `place` has what it had in the step before; then that stays written.
bool Recorder::keep_argument(const TensorArgument& place, const at::Tensor& tensor,
                             const OpTraits& traits) {
  const TensorArgument* const before = record_.arguments.ahead();
  if (before == nullptr || before->argument != place.argument || before->element != place.element ||
      before->written != place.written || !torch_bridge::is_plain(tensor) ||
      before->overwritten != is_overwritten(place, tensor, traits))
    return false;
  const ValueIndex value =
      before->overwritten ? known_value_of(tensor, before->value) : value_of(tensor, before->value);
  if (value != before->value) return false;
  const auto view = torch_bridge::view_of(tensor);
  if (!record_.is_stored(before->view, view) &&
      record_.add_view(record_.values[value].slot, view) != before->view)
    return false;
  record_.arguments.keep();
  return true;
}

/// What stands at `place`, found out anew.
TensorArgument Recorder::argument_at(const TensorArgument& place, const at::Tensor& tensor,
                                     const OpTraits& traits) {
  TensorArgument argument = place;
  if (!torch_bridge::is_plain(tensor)) {
    argument.other = record_.others.add(torch_bridge::detached_alias(tensor));
    return argument;
  }
  argument.overwritten = is_overwritten(place, tensor, traits);
  argument.value = argument.overwritten ? known_value_of(tensor, ValueIndex::kNone)
                                        : value_of(tensor, ValueIndex::kNone);
  argument.view =
      record_.add_view(record_.values[argument.value].slot, torch_bridge::view_of(tensor));
  return argument;
}

void Recorder::read(const at::Tensor& tensor, const TensorArgument& argument) {
  Value& value = record_.values[argument.value];
  ++value.readers;
  // Nobody wrote it on the tape, and yet it is read: through a pointer somebody did. (tape.md, F9)
  if (value.origin == Origin::kFresh && !argument.written) {
    make_leaf(argument.value, tensor.storage());
  }
}

ValueIndex Recorder::value_of(const at::Tensor& tensor, ValueIndex guess) {
  const ValueIndex value = known_value_of(tensor, guess);
  if (events_.is_unchanged(value, tensor.storage())) return value;
  const ValueIndex leaf = add_leaf(tensor, record_.values[value].slot);
  events_.changed_unseen(value);
  replace(value, leaf);
  return leaf;
}

ValueIndex Recorder::known_value_of(const at::Tensor& tensor, ValueIndex guess) {
  if (record_.is_current(guess, tensor.storage().unsafeGetStorageImpl())) return guess;
  const auto [slot, is_new] = record_.find_or_add(tensor.storage());
  if (!is_new) return record_.slots[slot].current;
  events_.leaf_met(tensor);
  return add_leaf(tensor, slot);
}

void Recorder::make_leaf(ValueIndex value, const c10::Storage& storage) {
  Value& leaf = record_.values[value];
  leaf.origin = Origin::kOutside;
  leaf.sound = false;
  leaf.held = storage;
}

void Recorder::add_constants(c10::ArrayRef<c10::IValue> arguments) {
  for (const c10::IValue& argument : arguments) {
    const c10::IValue* const before = record_.constants.ahead();
    if (before != nullptr && is_constant(*before, argument)) {
      record_.constants.keep();
    } else {
      record_.constants.add(without_tensors(argument));
    }
  }
}

/// Decides whether the operator can be run again, and notes where its random numbers begin.
void Recorder::judge(Op& op, c10::ArrayRef<c10::IValue> arguments) {
  op.rng = -1;
  op.unsound_because = obstacle(op, arguments);
  op.sound = op.unsound_because == nullptr;
  if (!op.sound) return;
  hold_unsound_arguments(op);
  if (!op.traits->draws.any()) return;
  const at::Generator generator = torch_bridge::generator_of_call(*op.traits, arguments);
  if (generator.defined()) op.rng = record_.rng_states.add(torch_bridge::DrawState::of(generator));
}

const char* Recorder::obstacle(const Op& op, c10::ArrayRef<c10::IValue> arguments) const {
  const OpTraits& traits = *op.traits;
  if (traits.obstacle != nullptr) return traits.obstacle;
  const bool draws = traits.draws.generator >= 0 || traits.draws.tagged;
  if (draws && !torch_bridge::generator_of_call(traits, arguments).defined()) {
    return "it draws from a generator that cannot be put back";
  }
  if (!home_.is_current()) return "it runs on another stream than the step began on";
  if (op.arguments.size() == 0 && !draws) return "it has no inputs: what it made is kept";
  for (std::int32_t i = op.arguments.begin; i < op.arguments.end; ++i) {
    const TensorArgument& argument = record_.arguments[i];
    if (argument.value == ValueIndex::kNone) {
      if (argument.written) return "it writes a tensor without plain storage";
      continue;
    }
    const Value& value = record_.values[argument.value];
    if (value.device != home_.device()) return "it works on a device without a budget";
    if (argument.overwritten) continue;
    if (value.lost) return "what it read has been overwritten";
    if (value.origin == Origin::kFresh) return "it writes a part of memory that is not written yet";
  }
  return nullptr;
}

/// What cannot be made again, and a recipe reads, stays.
void Recorder::hold_unsound_arguments(const Op& op) {
  for (std::int32_t i = op.arguments.begin; i < op.arguments.end; ++i) {
    const TensorArgument& argument = record_.arguments[i];
    if (argument.value == ValueIndex::kNone || argument.overwritten) continue;
    Value& value = record_.values[argument.value];
    if (!value.sound && !value.held) {
      auto storage = record_.alive(value.slot);
      if (storage) value.held = c10::Storage(std::move(storage));
    }
  }
}

// ---- leaves that are overwritten --------------------------------------------------------------------

void Recorder::save_leaves_from(const Op& op, const c10::SmallVectorImpl<Written>& written) {
  for (const Written& place : written) {
    const TensorArgument& argument = record_.arguments[op.arguments.begin + place.argument];
    const Value& value = record_.values[argument.value];
    if (value.sound || value.origin == Origin::kFresh) continue;
    // The recipes of the operator's other results read it, too, and of what else it writes.
    const bool makes_others = op.traits->result_count() > 1 || written.size() > 1;
    save_leaf(argument.value, !argument.overwritten && op.sound && makes_others, place.tensor);
  }
  tell_of_lost_leaves();
}

void Recorder::save_leaf(ValueIndex leaf, bool read_by_the_writer, const at::Tensor& tensor) {
  const bool has_readers = record_.values[leaf].readers > 0;
  const bool copy =
      read_by_the_writer ||
      (has_readers && (record_.values[leaf].bytes <= kSmallLeaf || events_.is_needed(leaf)));
  c10::Storage old;
  if (copy) old = events_.copy_to_keep(tensor.storage());
  Value& value = record_.values[leaf];
  value.lost = !copy;
  value.held = std::move(old);
  if (value.lost && has_readers) lost_.push_back(leaf);
}

void Recorder::tell_of_lost_leaves() {
  if (!lost_.empty()) events_.leaves_lost(lost_);
  lost_.clear();
}

}  // namespace remat::tape

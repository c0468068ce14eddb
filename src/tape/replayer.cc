#include "tape/replayer.h"

#include <utility>

#include <remat/error.h>

#include "base/check.h"
#include "torch_bridge/repeated_call.h"

namespace remat::tape {
namespace {

std::int32_t key_of(ValueIndex value) { return static_cast<std::int32_t>(value); }

}  // namespace

// ---- which operators run, in which order --------------------------------------------------------------

c10::Storage Replayer::materialise(ValueIndex value) {
  Work work;
  work.target = value;
  add_makers(value, work);
  while (!work.todo.empty()) {
    const OpIndex next = *work.todo.begin();
    if (!fetch_arguments(next, work)) continue;
    work.todo.erase(next);
    const Op op = record_.ops[next];
    run_with(op, work);
    finish(op, work);
  }
  return work.at_hand.at(key_of(value));
}

/// All that has to run before `value` is there.
void Replayer::add_makers(ValueIndex value, Work& work) {
  std::vector<ValueIndex> missing{value};
  while (!missing.empty()) {
    const ValueIndex made = missing.back();
    missing.pop_back();
    check_recipe(made);
    const OpIndex maker = record_.values[made].maker;
    if (!work.todo.insert(maker).second) continue;
    for_each_read(record_.ops[maker], [&](ValueIndex read) {
      ++work.waiting[key_of(read)];
      if (work.at_hand.count(key_of(read)) == 0 && !events_.is_resident(read)) {
        missing.push_back(read);
      }
    });
  }
}

/// False if something is not there, or no more: then it has to be made first.
bool Replayer::fetch_arguments(OpIndex index, Work& work) {
  bool complete = true;
  for_each_read(record_.ops[index], [&](ValueIndex read) {
    if (work.at_hand.count(key_of(read)) > 0) return;
    c10::Storage storage = events_.resident(read);
    if (storage) {
      work.at_hand.emplace(key_of(read), std::move(storage));
    } else {
      add_makers(read, work);
      complete = false;
    }
  });
  return complete;
}

/// Lets go of what nobody waits for any more.
void Replayer::finish(const Op& op, Work& work) {
  for_each_read(op, [&](ValueIndex read) {
    if (--work.waiting[key_of(read)] <= 0 && read != work.target) work.at_hand.erase(key_of(read));
  });
}

/// Leaves that recipes read are held, and no recipe that is asked for reads one that is lost: what is missing was made
/// of memory that changed unseen.
void Replayer::check_recipe(ValueIndex index) const {
  const Value& value = record_.values[index];
  if (value.sound) return;
  REMAT_ASSERT(value.maker != OpIndex::kNone);
  fail<Error>(
      "remat::Step: a saved tensor cannot be made again: the {} bytes that {} gave have been let go of, and they, or "
      "what they were made of, were then changed where no operator wrote them: through a pointer. Give the "
      "pointer a copy (clone()), or repeat the step: what steps have shown to change is kept from then on.",
      value.bytes, record_.ops[value.maker].traits->name);
}

// ---- one operator -------------------------------------------------------------------------------------

void Replayer::run_with(const Op& op, Work& work) {
  std::unordered_map<std::int32_t, c10::Storage> written;
  torch::jit::Stack stack = arguments_of(op, work, written);
  const auto* draws = op.rng >= 0 ? &record_.rng_states[op.rng] : nullptr;
  torch_bridge::call_again(*op.traits, stack, op.state, draws);
  for (std::int32_t i = op.outputs.begin; i < op.outputs.end; ++i) {
    const Output& output = record_.outputs[i];
    c10::Storage storage =
        output.argument >= 0
            ? written.at(key_of(record_.arguments[op.arguments.begin + output.argument].value))
            : result_of(op, output, stack);
    const bool stays = events_.replayed(output.value, storage);
    const bool awaited = output.value == work.target || work.waiting[key_of(output.value)] > 0;
    if (stays || awaited) work.at_hand[key_of(output.value)] = std::move(storage);
  }
}

torch::jit::Stack Replayer::arguments_of(const Op& op, Work& work,
                                         std::unordered_map<std::int32_t, c10::Storage>& written) {
  torch::jit::Stack stack;
  stack.reserve(op.traits->argument_count());
  for (std::int32_t i = op.constants.begin; i < op.constants.end; ++i) {
    const c10::IValue& constant = record_.constants[i];
    stack.push_back(constant.isList() ? c10::IValue(constant.toList().copy()) : constant);
  }
  for (std::int32_t i = op.arguments.begin; i < op.arguments.end; ++i) {
    const TensorArgument& argument = record_.arguments[i];
    const auto put = [&](at::Tensor tensor) {
      torch_bridge::put_tensor(stack[static_cast<std::size_t>(argument.argument)], argument.element,
                               std::move(tensor));
    };
    if (argument.value == ValueIndex::kNone) {
      put(record_.others[argument.other]);
    } else {
      put(torch_bridge::tensor_on(base_of(argument, work, written), record_.view(argument.view)));
    }
  }
  return stack;
}

/// The storage under an argument: a private copy where the operator writes it.
c10::Storage Replayer::base_of(const TensorArgument& argument, Work& work,
                               std::unordered_map<std::int32_t, c10::Storage>& written) const {
  const std::int32_t key = key_of(argument.value);
  const auto found = written.find(key);
  if (found != written.end()) return found->second;
  if (!argument.written) return work.at_hand.at(key);
  const Value& value = record_.values[argument.value];
  c10::Storage base;
  if (argument.overwritten) {
    base = torch_bridge::fresh_storage(value.bytes, value.device);
  } else {
    c10::Storage& old = work.at_hand.at(key);
    // Made on the way, and read by nobody else: no copy.
    const bool private_already = old.use_count() == 1 && work.waiting[key] == 1;
    base = private_already ? std::exchange(old, c10::Storage()) : torch_bridge::copy_of(old);
  }
  written.emplace(key, base);
  return base;
}

c10::Storage Replayer::result_of(const Op& op, const Output& output,
                                 const torch::jit::Stack& results) const {
  const c10::IValue& result = results[static_cast<std::size_t>(output.result)];
  const at::Tensor tensor =
      output.element < 0 ? result.toTensor()
                         : result.toListRef()[static_cast<std::size_t>(output.element)].toTensor();
  const torch_bridge::StorageView expected = record_.view(output.view);
  const bool same = torch_bridge::is_plain(tensor) && tensor.sizes() == expected.sizes &&
                    tensor.strides() == expected.strides &&
                    tensor.storage_offset() == expected.offset &&
                    tensor.scalar_type() == expected.dtype;
  REMAT_CHECK(same, Error,
              "remat::Step: {} gave a tensor of another shape or layout when it was run again. Its "
              "results depend on more than its arguments: run it in a region of its own "
              "(remat::checkpoint), or outside of the Step.",
              op.traits->name);
  return tensor.storage();
}

}  // namespace remat::tape

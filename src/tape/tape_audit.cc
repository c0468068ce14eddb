// What a tape does about memory that changed unseen, and operators that do not give the same bits again.
// (Rule T12)
#include <functional>
#include <utility>
#include <vector>

#include <remat/error.h>

#include "base/check.h"
#include "tape/tape.h"

namespace remat::tape {

bool Tape::is_unchanged(ValueIndex value, const c10::Storage& storage) {
  return !audit_ || finished_ || !record_.values[value].sound ||
         audit_->is_unchanged(value, storage);
}

void Tape::changed_unseen(ValueIndex old) {
  pin(record_.values[old].maker, "its result is changed through a pointer");
  record_.values[old].sound = false;
  record_.values[old].lost = true;
  keep_what_depends_on(old);
}

void Tape::pin(OpIndex index, const char* because) {
  const Op& op = record_.ops[index];
  const std::uint64_t signature = record_.events[record_.moments[op.moment].event];
  options_.pinned.emplace(signature, op.traits->name + ": " + because);
}

/// Recipes that read what is gone are none any more: what they made is kept, if it is there.
void Tape::keep_what_depends_on(ValueIndex changed) {
  for_each_dependent({changed}, [this](ValueIndex index) {
    const c10::Storage storage = resident(index);
    if (storage) hold(index, storage);
    record_.values[index].sound = false;
    return !storage;
  });
}

/// Nobody asks for what was made of them; what autograd saves later of that is kept.
void Tape::leaves_lost(const std::vector<ValueIndex>& leaves) {
  for_each_dependent(leaves, [this](ValueIndex index) {
    return std::exchange(record_.values[index].sound, false);
  });
}

/// Of what operators made of `changed`, and of those among that for which `is_gone` said so.
void Tape::for_each_dependent(const std::vector<ValueIndex>& changed,
                              const std::function<bool(ValueIndex)>& is_gone) {
  std::vector<char> gone(static_cast<std::size_t>(record_.values.size()), 0);
  for (const ValueIndex value : changed) gone[at_place(value)] = 1;
  for (std::int32_t i = 0; i < record_.ops.size(); ++i) {
    const Op& op = record_.ops[static_cast<OpIndex>(i)];
    bool depends = false;
    for (std::int32_t k = op.arguments.begin; k < op.arguments.end; ++k) {
      const TensorArgument& argument = record_.arguments[k];
      const bool reads = argument.value != ValueIndex::kNone && !argument.overwritten;
      depends = depends || (reads && gone[at_place(argument.value)] != 0);
    }
    for (std::int32_t k = op.outputs.begin; depends && k < op.outputs.end; ++k) {
      const ValueIndex made = record_.outputs[k].value;
      gone[at_place(made)] = is_gone(made) ? 1 : 0;
    }
  }
}

void Tape::prove(ValueIndex index, const c10::Storage& storage) {
  const OpIndex maker = record_.values[index].maker;
  const torch_bridge::OpTraits& traits = *record_.ops[maker].traits;
  if (!audit_ || audit_->is_the_same(index, storage)) return;
  pin(maker, "it gives other bits when it runs again");
  failure_ = Failure::kProof;
  fail<Error>(
      "remat::Step: {} gave other bits when it was run again than the first time; no gradient was made of "
      "them. What the step had changed is put back when it ends, and from the next one on these results are "
      "kept: repeat it (Budget::run does).",
      traits.name);
}

/// Whether a value can be made again: what nobody saw being changed cannot.
bool Tape::may_go(ValueIndex index) {
  const Value& value = record_.values[index];
  if (!audit_ || !value.sound || audit_->is_unchanged(index, value.held)) return true;
  pin(value.maker, "its result is changed through a pointer");
  record_.values[index].sound = false;
  return false;
}

}  // namespace remat::tape

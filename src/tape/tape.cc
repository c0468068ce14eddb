#include "tape/tape.h"

#include <algorithm>
#include <unordered_set>

#include <c10/core/GradMode.h>

#include "tape/saved_value.h"
#include "torch_bridge/graph_task.h"

namespace remat::tape {
namespace {

using Lock = std::lock_guard<TapeMutex>;

thread_local Tape* current_tape = nullptr;

}  // namespace

Tape::Tape(TapeOptions options)
    : options_(std::move(options)),
      home_(options_.memory->device()),
      record_(options_.group->empty_record()),
      meter_(std::make_unique<MomentMeter>(record_, *options_.memory, home_, options_.measures)),
      follower_(*this, options_.plans),
      exceptions_at_start_(std::uncaught_exceptions()),
      at_start_(live_bytes()) {
  if (options_.audits) audit_.emplace(record_);
  undo_log_.emplace();
  options_.group->join(*this);
}

// One that has finished has left: it may die on a thread that holds another tape's mutex, with which none may
// wait for the group's.
Tape::~Tape() {
  if (!finished_) options_.group->leave(*this);
  options_.group->take_back(std::move(record_));
}

Tape::Scope::Scope(Tape& tape)
    : outer_(current_tape),
      interceptor_(torch_bridge::OpLevel::kBelowAutograd, tape),
      hooks_(tape),
      passes_(tape),
      gate_(tape, tape.home_.device()) {
  current_tape = &tape;
  if (!tape.home_.device().is_cpu()) carry_.emplace(tape.carried());
  if (tape.meter_->measures()) nodes_.emplace();
}

Tape::Scope::~Scope() { current_tape = outer_; }

Tape* Tape::current() { return current_tape; }

/// What the threads of autograd see of it, which may outlive the scope.
std::shared_ptr<torch_bridge::CarriedScopes> Tape::carried() {
  const std::shared_ptr<Tape> self = shared_from_this();
  return std::make_shared<torch_bridge::CarriedScopes>(
      std::shared_ptr<torch_bridge::OpInterceptor>(self, this),
      std::shared_ptr<torch_bridge::AllocationGate>(self, this), home_.device());
}

void Tape::finish() {
  options_.group->leave(*this);
  const Lock lock(mutex_);
  meter_->finish();
  follower_.stop();
  finished_ = true;
  if (failure_ == Failure::kNone) undo_log_.reset();
  // What ran after the last saved tensor was asked for has been recorded again.
  if (live_hooks_ == 0) record_.release_tensors();
}

// ---- operators ------------------------------------------------------------------------------------------

namespace {

StepPart current_part() {
  if (torch_bridge::in_backward_pass()) return StepPart::kBackward;
  return c10::GradMode::is_enabled() ? StepPart::kForward : StepPart::kUnrecorded;
}

}  // namespace

void Tape::name_value(const at::Tensor& tensor, std::string_view name) {
  const Lock lock(mutex_);
  if (finished_ || !meter_->measures() || current_part() != StepPart::kForward) return;
  if (!tensor.defined() || !torch_bridge::is_plain(tensor)) return;
  const SlotIndex slot = record_.find(tensor.storage().unsafeGetStorageImpl());
  if (slot == SlotIndex::kNone) return;
  record_.names[record_.slots[slot].current] = name;
}

void Tape::intercept(torch_bridge::OpCall& call) {
  std::unique_lock<TapeMutex> lock(mutex_);
  if (finished_) return call.proceed();
  // The tape may let go of them before they are read.
  if (!home_.is_current()) home_.lend_arguments(call);
  ++counts_.ops;
  const torch_bridge::OpTraits& traits = torch_bridge::traits_of(call.op());
  const StepPart part = current_part();
  running_ = &traits;
  if (part == StepPart::kForward) {
    if (failure_ != Failure::kNone) go_on(call, traits);
    undo_log_->before(call, traits, part);
    if (!traits.only_shows) return record(call, traits);
    lock.unlock();
    return run(call);
  }
  if (meter_->other_op(part == StepPart::kBackward)) reach_event();
  undo_log_->before(call, traits, part);
  if (traits.writes.any()) return recorder_.watch(call, traits, [&] { run(call); });
  lock.unlock();
  run(call);
}

/// Runs an operator as it is.
void Tape::run(torch_bridge::OpCall& call) {
  const torch_bridge::InterceptorPause pause(torch_bridge::OpLevel::kBelowAutograd);
  const TapeMutex::Released released(mutex_);
  call.proceed();
}

void Tape::record(torch_bridge::OpCall& call, const torch_bridge::OpTraits& traits) {
  records_ = true;
  const auto before = [&](OpIndex op, std::uint64_t identity) {
    ++clock_;
    for (std::int32_t i = record_.ops[op].arguments.begin; i < record_.ops[op].arguments.end; ++i) {
      const ValueIndex value = record_.arguments[i].value;
      if (value != ValueIndex::kNone) record_.values[value].last_used = clock_;
    }
    Op& begun = record_.ops[op];
    begun.moment = meter_->begin(op, identity);
    if (!options_.pinned.empty()) keep_if_pinned(begun);
    reach_event();
  };
  const auto after = [&](OpIndex op) {
    meter_->stop_clock();
    record_.ops[op].nanoseconds = record_.moments.back().nanoseconds;
  };
  try {
    if (!recorder_.record(
            call, traits, before, [&] { run(call); }, after))
      meter_->cancel();
  } catch (...) {
    records_ = false;
    meter_->cancel();
    throw;
  }
  records_ = false;
}

/// Of an operator that has begun.
void Tape::keep_if_pinned(Op& op) {
  const auto pinned = options_.pinned.find(record_.events.back());
  if (pinned == options_.pinned.end()) return;
  op.sound = false;
  op.unsound_because = pinned->second.c_str();
}

void Tape::reach_event() {
  end_visits();
  const std::int32_t event = record_.events.size() - 1;
  follower_.reach(event, record_.events[event]);
}

// ---- values -----------------------------------------------------------------------------------------------

void Tape::value_made(ValueIndex index, const c10::Storage& storage) {
  Value& value = record_.values[index];
  value.last_used = clock_;
  value.plannable =
      value.device == home_.device() && (value.origin == Origin::kFresh || value.sound);
  if (value.plannable) meter_->came(index);
  if (audit_ && value.sound) audit_->made(index, storage);
  const bool dropped =
      !dropped_ahead_.empty() && dropped_ahead_.count(static_cast<std::int32_t>(index)) > 0;
  if (plan_decides(index) && !dropped) value.held = storage;
}

void Tape::value_overwritten(ValueIndex old, ValueIndex by) {
  Value& value = record_.values[old];
  meter_->taken_over(old);
  Value& successor = record_.values[by];
  // A leaf may have a copy of its own.
  const Slot& slot = record_.slots[successor.slot];
  if (value.held && !(slot.address.expired()) &&
      value.held.unsafeGetStorageImpl() == record_.alive(successor.slot).get()) {
    value.held = c10::Storage();
  }
  if (record_.slots[successor.slot].hooks > 0 && !successor.held && !plan_decides(by)) {
    auto storage = record_.alive(successor.slot);
    if (storage) successor.held = c10::Storage(std::move(storage));
  }
}

bool Tape::is_needed(ValueIndex leaf) {
  if (live_hooks_ == 0) return false;
  std::unordered_set<std::int32_t> seen;
  std::vector<ValueIndex> todo;
  for (const Slot& slot : record_.slots) {
    if (slot.hooks > 0) todo.push_back(slot.current);
  }
  while (!todo.empty()) {
    const ValueIndex index = todo.back();
    todo.pop_back();
    if (index == leaf) return true;
    const Value& value = record_.values[index];
    if (!value.sound || !seen.insert(static_cast<std::int32_t>(index)).second) continue;
    const Op& op = record_.ops[value.maker];
    for (std::int32_t i = op.arguments.begin; i < op.arguments.end; ++i) {
      const TensorArgument& argument = record_.arguments[i];
      if (argument.value != ValueIndex::kNone && !argument.overwritten) {
        todo.push_back(argument.value);
      }
    }
  }
  return false;
}

/// What can be had without running an operator.
c10::Storage Tape::resident(ValueIndex index) {
  c10::Storage storage = in_memory(index);
  if (storage) return storage;
  storage = packed_.unpacked(index);
  if (storage) {
    ++counts_.unpacks;
    prove(index, storage);
  }
  return storage;
}

bool Tape::is_resident(ValueIndex index) {
  return static_cast<bool>(in_memory(index)) || packed_.has(index);
}

c10::Storage Tape::in_memory(ValueIndex index) {
  const Value& value = record_.values[index];
  if (value.held) return value.held;
  if (record_.slots[value.slot].current != index) return {};
  auto storage = record_.alive(value.slot);
  return storage ? c10::Storage(std::move(storage)) : c10::Storage();
}

bool Tape::replayed(ValueIndex index, const c10::Storage& storage) {
  ++counts_.replays;
  prove(index, storage);
  Value& value = record_.values[index];
  if (value.held) return true;
  value.dropped = true;
  const Slot& slot = record_.slots[value.slot];
  const bool asked_later = slot.current == index && slot.hooks > 0;
  const bool wanted = std::find(wanted_.begin(), wanted_.end(), index) != wanted_.end();
  const bool stays = plan_decides(index) ? wanted : asked_later;
  if (stays) hold(index, storage);
  return stays;
}

void Tape::hold(ValueIndex index, const c10::Storage& storage) {
  Value& value = record_.values[index];
  value.held = storage;
  value.last_used = clock_;
  if (value.sound) meter_->came(index);
}

void Tape::let_go(ValueIndex index) {
  Value& value = record_.values[index];
  if (!value.held || !value.sound) return;
  value.held = c10::Storage();
  const Slot& slot = record_.slots[value.slot];
  value.dropped = value.dropped || (slot.current == index && slot.hooks > 0);
  meter_->let_go(index);
}

c10::Storage Tape::make(ValueIndex value) {
  c10::Storage storage = in_memory(value);
  if (storage) return storage;
  const torch_bridge::HomeStream::Visit visit(home_);
  meter_->before_replay();
  const auto* const outer = std::exchange(running_, nullptr);
  const auto began = std::chrono::steady_clock::now();
  storage = resident(value);
  if (!storage) storage = replayer_.materialise(value);
  counts_.replay_nanoseconds +=
      std::chrono::nanoseconds(std::chrono::steady_clock::now() - began).count();
  meter_->after_replay();
  running_ = outer;
  return storage;
}

/// What was made for the node before this one, beside the plan, goes.
void Tape::end_visits() {
  for (const ValueIndex value : visitors_) let_go(value);
  visitors_.clear();
}

// ---- saved tensors ------------------------------------------------------------------------------------------

std::unique_ptr<torch::autograd::SavedVariableHooks> Tape::make_hooks() {
  if (finished_ || torch_bridge::in_backward_pass()) return nullptr;
  return std::make_unique<SavedValue>(shared_from_this());
}

Tape::Saved Tape::save(const at::Tensor& tensor) {
  const Lock lock(mutex_);
  const ValueIndex index = recorder_.value_of(tensor);
  Value& value = record_.values[index];
  value.saved = true;
  ++record_.slots[value.slot].hooks;
  live_hooks_.store(live_hooks_ + 1, std::memory_order_relaxed);
  if (!value.held && !plan_decides(index)) value.held = tensor.storage();
  return {value.slot, record_.add_view(value.slot, torch_bridge::view_of(tensor))};
}

at::Tensor Tape::bring_back(const Saved& saved) {
  const Lock lock(mutex_);
  check_not_undone();
  const ValueIndex index = record_.slots[saved.slot].current;
  if (!finished_) {
    ++clock_;
    if (meter_->ask(index)) reach_event();
  }
  const bool was_held = static_cast<bool>(record_.values[index].held);
  const c10::Storage storage = make(index);
  record_.values[index].last_used = clock_;
  if (!was_held && !record_.values[index].held) {
    hold(index, storage);
    if (plan_decides(index) || finished_) visitors_.push_back(index);
  }
  probe(index);
  home_.hand_over(storage);
  return torch_bridge::tensor_on(storage, record_.view(saved.view));
}

/// Finds out whether a value could be kept packed, while there is room for that.
void Tape::probe(ValueIndex value) {
  if (finished_ || !meter_->measures() || !packed_.is_worth_probing(value)) return;
  const Value& asked = record_.values[value];
  if (!asked.held || live_bytes() + asked.bytes > options_.limit) return;
  meter_->before_replay();
  packed_.probe(value, asked.held);
  meter_->after_replay();
}

void Tape::hook_died(SlotIndex index) {
  const Lock lock(mutex_);
  Slot& slot = record_.slots[index];
  --slot.hooks;
  live_hooks_.store(live_hooks_ - 1, std::memory_order_relaxed);
  if (slot.hooks == 0 && !plan_decides(slot.current)) {
    let_go(slot.current);
    Value& value = record_.values[slot.current];
    if (!value.sound && value.readers == 0) value.held = c10::Storage();  // nobody's input
  }
  if (live_hooks_ > 0 || records_) return;
  // Nobody can ask for anything any more.
  for (auto i = static_cast<std::int32_t>(record_.first_not_released()); i < record_.values.size();
       ++i) {
    let_go(static_cast<ValueIndex>(i));
  }
  packed_.drop_all();
  record_.release_tensors();
}

TapeCounts Tape::counts() const {
  TapeCounts counts = counts_;
  counts.verified = recorder_.verified();
  counts.recorded = recorder_.recorded();
  return counts;
}

}  // namespace remat::tape

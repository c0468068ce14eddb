#include "checkpoint/recomputation.h"

#include <algorithm>

#include <fmt/format.h>

#include "checkpoint/divergence.h"
#include "torch_bridge/op_writes.h"
#include "torch_bridge/stack_tensors.h"

namespace remat {

// ---- RecomputedTensors ---------------------------------------------------------------------------

RecomputedTensors::Slot& RecomputedTensors::slot(std::size_t index) {
  if (index >= slots_.size()) {
    slots_.resize(index + 1);
  }
  return slots_[index];
}

void RecomputedTensors::put(std::size_t index, at::Tensor alias) {
  Slot& slot = this->slot(index);
  slot.version = torch_bridge::version_of(alias);
  slot.tensor = std::move(alias);
}

at::Tensor RecomputedTensors::take(std::size_t index, const CheckpointOptions& region) {
  Slot& slot = this->slot(index);
  at::Tensor tensor = slot.tensor;
  if (!keeps_what_is_taken_) {
    slot.tensor.reset();
  }
  if (tensor.defined() && torch_bridge::version_of(tensor) != slot.version) {
    throw CheckpointError(fmt::format(
        "{}: one of the variables needed for gradient computation has been modified by an inplace "
        "operation: {}, saved by the region at version {}, is at version {} now. Replace the in-place "
        "operation by one that makes a new tensor.",
        region_name(region), describe(tensor), slot.version, torch_bridge::version_of(tensor)));
  }
  return tensor;
}

void RecomputedTensors::drop(std::size_t index) {
  if (index < slots_.size()) {
    slots_[index] = Slot();
  }
}

// ---- Recomputation -------------------------------------------------------------------------------

/// Hooks of a tensor saved while recomputing. It is kept here too, detached, for a backward that the
/// region's own function runs; the recomputed graph is thrown away when the function returns.
class Recomputation::Hooks final : public torch::autograd::SavedVariableHooks {
 public:
  explicit Hooks(Recomputation& pass) : pass_(pass) {}

  void call_pack_hook(const at::Tensor& tensor) override {
    alias_ = torch_bridge::detached_alias(tensor);
    pass_.note_saved(tensor);
    pass_.keep(alias_);
  }
  at::Tensor call_unpack_hook() override { return alias_; }

 private:
  Recomputation& pass_;
  at::Tensor alias_;
};

Recomputation::Recomputation(const ForwardRecord& forward, std::vector<bool> wanted,
                             RecomputedTensors& into)
    : RegionPass(forward.options, forward.level, /*saves=*/forward.saved.size()),
      forward_(forward),
      wanted_(std::move(wanted)),
      into_(into) {
  const auto last = std::find(wanted_.rbegin(), wanted_.rend(), true);
  needed_ = static_cast<std::size_t>(wanted_.rend() - last);
}

std::unique_ptr<torch::autograd::SavedVariableHooks> Recomputation::make_hooks() {
  return std::make_unique<Hooks>(*this);
}

/// The newest saved tensor goes into its slot.
void Recomputation::keep(const at::Tensor& alias) {
  const std::size_t index = saved().size() - 1;
  if (index < wanted_.size() && wanted_[index]) {
    into_.put(index, alias);
  }
}

void Recomputation::enter_op_above_autograd() {
  if (forward_.options.early_stop && has_all_wanted()) {
    stop();
  }
}

void Recomputation::stop() {
  stopped_ = true;
  if (torch_bridge::python_is_loaded()) {
    throw StopThroughPython();
  }
  throw Stop();
}

/// Between autograd's part of one operator, which saves its arguments, and its kernel.
class Recomputation::KernelGate final : public torch_bridge::OpInterceptor {
 public:
  KernelGate(Recomputation& pass, const c10::OperatorHandle& op) : pass_(pass), op_(op) {}

  void intercept(torch_bridge::OpCall& call) override {
    if (pass_.has_all_wanted() && &call.op().schema() == &op_.schema()) {
      pass_.stop();
    }
    call.proceed();
  }

 private:
  Recomputation& pass_;
  const c10::OperatorHandle& op_;
};

void Recomputation::proceed(torch_bridge::OpCall& call) {
  if (!may_stop_before_kernel(call.op())) {
    RegionPass::proceed(call);
    return;
  }
  KernelGate gate(*this, call.op());
  torch_bridge::InterceptorScope below_autograd(torch_bridge::OpLevel::kBelowAutograd, gate);
  RegionPass::proceed(call);
}

/// Whether `op` can be the one that saves what is still wanted, and does so before its kernel has run in
/// full. Only LibTorch's own that write none of their arguments: what others save may not be filled yet, and
/// a custom function's node leaks if an exception leaves it while it saves.
bool Recomputation::may_stop_before_kernel(const c10::OperatorHandle& op) const {
  if (!forward_.options.early_stop || level() != torch_bridge::OpLevel::kAboveAutograd ||
      has_all_wanted()) {
    return false;
  }
  for (std::size_t i = saved().size(); i < needed_; ++i) {
    const auto& saver = forward_.saved[i].op;
    if (!saver || &saver->schema() != &op.schema()) {
      return false;
    }
  }
  return op.schema().name().rfind("aten::", 0) == 0 && !torch_bridge::writes_of(op).any() &&
         torch_bridge::interception_obstacle(torch_bridge::OpLevel::kBelowAutograd).empty();
}

void Recomputation::before(torch_bridge::OpCall& call) {
  redirect_arguments(call);
  protect_written(call);
}

void Recomputation::redirect_arguments(torch_bridge::OpCall& call) {
  torch::jit::Stack& stack = call.stack();
  for (auto argument = stack.end() - static_cast<std::ptrdiff_t>(call.argument_count());
       argument != stack.end(); ++argument) {
    torch_bridge::replace_tensors(*argument, [this](const at::Tensor& tensor) {
      auto* storage = torch_bridge::storage_of(tensor);
      if (storage == nullptr || ledger().made_here(storage)) {
        return at::Tensor();
      }
      ledger().note_read(tensor, storage);
      const at::Tensor copy = private_copy(storage);
      return copy.defined() ? private_view(copy, tensor) : at::Tensor();
    });
  }
}

/// An outside tensor that the forward did not write, but this pass does, is left alone as well.
void Recomputation::protect_written(torch_bridge::OpCall& call) {
  const torch_bridge::OpWrites& writes = torch_bridge::writes_of(call.op());
  if (!writes.any()) {
    return;
  }
  torch::jit::Stack& stack = call.stack();
  const std::size_t first = stack.size() - call.argument_count();
  const auto arguments = torch::jit::last(stack, call.argument_count());
  torch_bridge::for_each_written_argument(writes, arguments, [&](std::size_t i) {
    torch_bridge::replace_tensors(stack[first + i], [&](const at::Tensor& tensor) {
      auto* storage = torch_bridge::storage_of(tensor);
      if (storage == nullptr || ledger().made_here(storage)) {
        return at::Tensor();
      }
      check_can_protect(call, i);
      return private_view(own(storage, torch_bridge::copy_of_storage(tensor)), tensor);
    });
  });
}

/// The private copy that stands for an outside storage, made at first use; undefined if the forward did
/// not write that storage.
at::Tensor Recomputation::private_copy(c10::StorageImpl* storage) {
  const auto found = private_copies_.find(storage);
  if (found != private_copies_.end()) {
    return found->second;
  }
  const at::Tensor before_forward = forward_.preimages.find(storage);
  return before_forward.defined() ? own(storage, torch_bridge::copy_of_storage(before_forward))
                                  : at::Tensor();
}

/// The tensor that stands for an outside one: always the same, which gets the history that the outside one
/// got in the forward.
at::Tensor Recomputation::private_view(const at::Tensor& copy, const at::Tensor& outside) {
  const auto found = private_views_.find(outside.unsafeGetTensorImpl());
  if (found != private_views_.end()) {
    return found->second.view;
  }
  const bool requires_grad = outside.requires_grad() && !forward_.preimages.got_history(outside);
  const at::Tensor view = torch_bridge::view_of_bytes(copy, outside, requires_grad);
  private_views_.emplace(outside.unsafeGetTensorImpl(), PrivateView{outside, view});
  return view;
}

at::Tensor Recomputation::own(c10::StorageImpl* storage, at::Tensor copy) {
  ledger().note_result(torch_bridge::storage_of(copy));
  private_copies_.emplace(storage, copy);
  return copy;
}

void Recomputation::compare() { check_same_pass(forward_, *this, needed_, stopped_); }

}  // namespace remat

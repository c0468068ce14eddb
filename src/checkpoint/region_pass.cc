#include "checkpoint/region_pass.h"

#include <utility>

#include <c10/util/ScopeExit.h>

#include "base/check.h"
#include "checkpoint/divergence.h"
#include "torch_bridge/content_hash.h"
#include "torch_bridge/op_draws.h"
#include "torch_bridge/op_writes.h"
#include "torch_bridge/stack_tensors.h"

namespace remat {
namespace {

c10::ArrayRef<c10::IValue> arguments_of(torch_bridge::OpCall& call) {
  return torch::jit::last(call.stack(), call.argument_count());
}

}  // namespace

void RegionPass::note_saved(const at::Tensor& tensor) {
  if (options_.determinism == Determinism::kValues &&
      !(current_op_ && torch_bridge::leaves_bytes_unwritten(*current_op_))) {
    unhashed_.emplace_back(saved_.size(), torch_bridge::detached_alias(tensor));
  }
  saved_.push_back({SavedMetadata::of(tensor), current_op_, {}});
}

void RegionPass::intercept(torch_bridge::OpCall& call) {
  const bool above =
      level_ == torch_bridge::OpLevel::kAboveAutograd && torch_bridge::is_above_autograd();
  if (!above && inside_op_) {
    torch_bridge::proceed_with_draws(call);  // part of a kernel, whose operator was looked at
    return;
  }
  if (above) {
    enter_above_autograd(call.op());
  }
  before(call);
  {
    const bool outer = std::exchange(inside_op_, true);
    const auto restore = c10::make_scope_exit([&] { inside_op_ = outer; });
    proceed(call);
  }
  note_results(call);
}

void RegionPass::enter_above_autograd(const c10::OperatorHandle& op) {
  hash_unhashed();
  enter_op_above_autograd();
  if (options_.debug) {
    ops_.add(op);
  }
  current_op_ = op;
}

void RegionPass::finish() {
  hash_unhashed();
  ledger_ = StorageLedger();
}

void RegionPass::hash_unhashed() {
  for (const auto& [index, alias] : unhashed_) {
    saved_[index].hash = torch_bridge::content_hash(alias);
  }
  unhashed_.clear();
}

void RegionPass::note_results(torch_bridge::OpCall& call) {
  for (const c10::IValue& result : torch::jit::last(call.stack(), call.result_count())) {
    torch_bridge::for_each_tensor(result, [this](const at::Tensor& tensor) {
      if (auto* storage = torch_bridge::storage_of(tensor)) {
        ledger_.note_result(storage);
      }
    });
  }
}

void RegionPass::check_can_protect(const torch_bridge::OpCall& call, std::size_t argument) const {
  if (level_ != torch_bridge::OpLevel::kAboveAutograd) {
    const auto& schema = call.op().schema();
    fail<Error>(
        "{}: {} writes to a tensor from outside of the region, its argument '{}', which a recomputation "
        "must not repeat, and in this process remat cannot prevent it. Write outside of the region. {}",
        region_name(options_), schema.name(), schema.arguments()[argument].name(),
        torch_bridge::interception_obstacle(torch_bridge::OpLevel::kAboveAutograd));
  }
}

ForwardPass::ForwardPass(const CheckpointOptions& options, torch_bridge::OpLevel level)
    : RegionPass(options, level, /*saves=*/16), preserves_rng_(options.preserve_rng_state) {
  if (preserves_rng_) {
    devices_rng_ = torch_bridge::RngSnapshot::of_devices();
  }
}

void ForwardPass::finish() {
  RegionPass::finish();
  preimages_.finish();
  if (preserves_rng_) {
    devices_rng_.keep_moved_only();
  }
}

void ForwardPass::before(torch_bridge::OpCall& call) {
  note_reads(call);
  note_device_generators(call);
  keep_preimages(call);
}

void ForwardPass::note_reads(torch_bridge::OpCall& call) {
  const auto arguments = arguments_of(call);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    torch_bridge::for_each_tensor(arguments[i], [&](const at::Tensor& tensor) {
      auto* storage = torch_bridge::storage_of(tensor);
      if (storage != nullptr && ledger().note_read(tensor, storage)) {
        reads_.push_back({torch_bridge::WeakTensor(tensor), torch_bridge::version_of(tensor),
                          storage, call.op(), i});
      }
    });
  }
}

void ForwardPass::note_device_generators(torch_bridge::OpCall& call) {
  if (!preserves_rng_) {
    return;
  }
  const torch_bridge::OpDraws& draws = torch_bridge::draws_of(call.op());
  if (!draws.any()) {
    return;
  }
  const auto arguments = arguments_of(call);
  if (draws.generator >= 0 && arguments[draws.generator].isGenerator()) {
    const at::Generator generator = arguments[draws.generator].toGenerator();
    if (torch_bridge::cpu_generator(generator) == nullptr) {
      devices_rng_.add(generator);
    }
  } else if (!draws.composite) {
    devices_rng_.add_default_of(torch_bridge::device_of_draws(draws, arguments), call.op());
  }
}

void ForwardPass::keep_preimages(torch_bridge::OpCall& call) {
  const torch_bridge::OpWrites& writes = torch_bridge::writes_of(call.op());
  if (!writes.any()) {
    return;
  }
  const auto arguments = arguments_of(call);
  torch_bridge::for_each_written_argument(writes, arguments, [&](std::size_t i) {
    torch_bridge::for_each_tensor(arguments[i], [&](const at::Tensor& tensor) {
      auto* storage = torch_bridge::storage_of(tensor);
      if (storage != nullptr && !ledger().made_here(storage)) {
        check_can_protect(call, i);
        preimages_.keep(tensor, storage);
      }
    });
  });
}

}  // namespace remat

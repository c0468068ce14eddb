#include "tape/undo_log.h"

#include <algorithm>

#include "torch_bridge/cpu_allocator.h"
#include "torch_bridge/graph_leaves.h"
#include "torch_bridge/random_draws.h"
#include "torch_bridge/stack_tensors.h"
#include "torch_bridge/storage_view.h"

namespace remat::tape {
namespace {

using torch_bridge::CpuRngState;
using torch_bridge::OpTraits;

// Memory of more than this that is written after backward is the optimizer's, not a metric or statistics.
constexpr std::int64_t kSmallState = std::int64_t{64} << 10;

CpuRngState default_generator_now() {
  return CpuRngState::of(*torch_bridge::cpu_generator(at::detail::getDefaultCPUGenerator()));
}

std::uint64_t latest_allocation() {
  return torch_bridge::CpuAllocator::installed()->ledger().latest();
}

/// One thing failing leaves the others to be done.
template <class Action>
void attempt(Action&& action) noexcept {
  try {
    action();
  } catch (...) {  // stays as it is
  }
}

bool lies_otherwise(const at::Tensor& tensor, const std::vector<std::int64_t>& sizes,
                    const std::vector<std::int64_t>& strides) {
  return tensor.sizes() != c10::IntArrayRef(sizes) || tensor.strides() != c10::IntArrayRef(strides);
}

}  // namespace

bool only_prepares(torch_bridge::OpCall& call, const OpTraits& traits) {
  const auto& results = traits.handle.schema().returns();
  if (!traits.writes.any() && results.size() == 1 && results[0].alias_info() != nullptr)
    return true;
  if (!traits.overwrites || traits.draws.any()) return false;
  int tensors = 0;
  for (const c10::IValue& argument : torch::jit::last(call.stack(), call.argument_count())) {
    torch_bridge::for_each_tensor(argument, [&](const at::Tensor&) { ++tensors; });
  }
  return tensors == 1;
}

// ---- opening and closing ----------------------------------------------------------------------------------

UndoLog::UndoLog()
    : since_(latest_allocation()),
      default_generator_(default_generator_now()),
      device_generators_(torch_bridge::RngSnapshot::of_devices()) {}

void UndoLog::open() {
  is_open_ = true;
  since_ = latest_allocation();
  if (!is_partial_) return;  // generators go back to where the step began
  default_generator_ = default_generator_now();
  device_generators_ = torch_bridge::RngSnapshot::of_devices();
}

void UndoLog::close() {
  is_open_ = pass_ran_ = false;
  is_partial_ = true;
  generators_.clear();
  images_.clear();
  exchanges_.clear();
  trained_.clear();
}

// ---- what the step does -----------------------------------------------------------------------------------

void UndoLog::look_at(torch_bridge::OpCall& call, const OpTraits& traits, StepPart part) {
  if (!is_open_ && part != StepPart::kUnrecorded && !only_prepares(call, traits)) open();
  const auto arguments = torch::jit::last(call.stack(), call.argument_count());
  if (traits.draws.any()) note_generator(traits, arguments);
  if (!traits.writes.any()) return;
  ++operation_;
  torch_bridge::for_each_written_argument(traits.writes, arguments, [&](std::uint32_t index) {
    torch_bridge::for_each_tensor(
        arguments[index], [&](const at::Tensor& tensor) { about_to_write(tensor, traits, part); });
  });
}

void UndoLog::note_generator(const OpTraits& traits, c10::ArrayRef<c10::IValue> arguments) {
  if (traits.draws.generator < 0 || (is_partial_ && !is_open_)) return;
  const c10::IValue& given = arguments[static_cast<std::size_t>(traits.draws.generator)];
  if (!given.isGenerator()) return;  // a default one
  const at::Generator generator = torch_bridge::real_generator(given.toGenerator());
  at::CPUGeneratorImpl* const of_cpu = torch_bridge::cpu_generator(generator);
  if (of_cpu == nullptr) {
    device_generators_.add(generator);
    return;
  }
  const bool is_known = generator == at::detail::getDefaultCPUGenerator() ||
                        std::any_of(generators_.begin(), generators_.end(),
                                    [&](const auto& known) { return known.first == generator; });
  if (!is_known) generators_.emplace_back(generator, CpuRngState::of(*of_cpu));
}

void UndoLog::met(const at::Tensor& tensor) {
  if (!tensor.device().is_cpu()) met_elsewhere_.insert(torch_bridge::storage_of(tensor));
  if (tensor.requires_grad() && tensor.is_leaf()) met_.emplace_back(tensor);
}

void UndoLog::pass_begins(const torch::autograd::edge_list& roots, bool accumulates) {
  if (!is_open_) open();
  if (!accumulates) return;
  pass_ran_ = true;
  for (const at::Tensor& leaf : torch_bridge::leaves_below(roots)) {
    const auto [place, is_new] = trained_.try_emplace(leaf.unsafeGetTensorImpl());
    if (!is_new) continue;
    Trained& noted = place->second;
    noted.leaf = torch_bridge::WeakTensor(leaf);
    noted.gradient = leaf.grad();
    if (!noted.gradient.defined()) continue;
    if (!torch_bridge::is_plain(noted.gradient)) {
      noted.content = torch_bridge::detached_alias(noted.gradient);
      noted.version = torch_bridge::version_of(noted.gradient);
    } else if (!noted.gradient.device().is_cpu()) {
      met_elsewhere_.insert(torch_bridge::storage_of(noted.gradient));
    }
  }
}

// ---- memory that is overwritten ---------------------------------------------------------------------------

void UndoLog::about_to_write(const at::Tensor& tensor, const OpTraits& traits, StepPart part) {
  if (!torch_bridge::is_plain(tensor) || !is_from_before(tensor)) return;
  if (!is_open_) {
    is_partial_ = is_partial_ || !traits.overwrites;
    return;
  }
  if (part == StepPart::kUnrecorded && pass_ran_ && ends_the_step(tensor, traits)) {
    close();
  } else if (images_.count(torch_bridge::storage_of(tensor)) == 0) {
    keep(tensor, traits);
  }
}

bool UndoLog::is_from_before(const at::Tensor& tensor) const {
  const c10::StorageImpl* const storage = torch_bridge::storage_of(tensor);
  if (!storage->device().is_cpu()) return met_elsewhere_.count(storage) > 0;
  return storage->nbytes() > 0 && torch_bridge::CpuAllocator::allocation_of(*storage) <= since_;
}

/// Whether a write without gradients, after a backward pass, is the optimizer's or clipping.
bool UndoLog::ends_the_step(const at::Tensor& tensor, const OpTraits& traits) const {
  const c10::StorageImpl* const storage = torch_bridge::storage_of(tensor);
  const auto image = images_.find(storage);
  const bool is_known = image != images_.end();
  if (is_known && image->second.writer == &traits) return false;  // as the forward did before
  return is_trained(storage) ||
         (!is_known && static_cast<std::int64_t>(storage->nbytes()) > kSmallState);
}

bool UndoLog::is_trained(const c10::StorageImpl* storage) const {
  return std::any_of(trained_.begin(), trained_.end(), [&](const auto& noted) {
    const at::Tensor leaf = noted.second.leaf.lock();
    return leaf.defined() && (torch_bridge::storage_of(leaf) == storage ||
                              torch_bridge::storage_of(leaf.grad()) == storage);
  });
}

/// Whether it is the gradient of a tensor that the forward has read.
bool UndoLog::is_gradient_of_met(const c10::StorageImpl* storage) {
  for (; gradients_looked_at_ < met_.size(); ++gradients_looked_at_) {
    const at::Tensor leaf = met_[gradients_looked_at_].lock();
    if (leaf.defined()) gradients_of_met_.insert(torch_bridge::storage_of(leaf.grad()));
  }
  return gradients_of_met_.count(storage) > 0;
}

void UndoLog::keep(const at::Tensor& tensor, const OpTraits& traits) {
  if (traits.exchanges_storage) {
    exchanges_.push_back({torch_bridge::WeakTensor(tensor), tensor.storage(), tensor.sizes().vec(),
                          tensor.strides().vec(), tensor.storage_offset()});
    return;
  }
  const c10::StorageImpl* const storage = torch_bridge::storage_of(tensor);
  Image image{torch_bridge::address_of_storage(tensor),
              {},
              torch_bridge::WeakTensor(tensor),
              tensor.unsafeGetTensorImpl()->version_counter(),
              tensor.sizes().vec(),
              tensor.strides().vec(),
              &traits,
              operation_};
  // zero_grad() between forward and backward: nobody wants the old gradient.
  const bool is_discarded = traits.name == "aten::zero_" && torch_bridge::covers_storage(tensor) &&
                            is_gradient_of_met(storage);
  if (!is_discarded && !torch_bridge::is_all_zero(*storage)) {
    image.bytes = torch_bridge::copy_of(tensor.storage());
  }
  images_.emplace(storage, std::move(image));
}

c10::Storage UndoLog::copy_of(const c10::Storage& storage) const {
  const auto image = images_.find(storage.unsafeGetStorageImpl());
  const bool is_of_now =
      image != images_.end() && image->second.operation == operation_ && image->second.bytes;
  return is_of_now ? image->second.bytes : torch_bridge::copy_of(storage);
}

// ---- back -------------------------------------------------------------------------------------------------

void UndoLog::put_back() noexcept {
  attempt([&] { put_back_storages(); });
  attempt([&] { put_back_gradients(); });
  attempt([&] {
    default_generator_.put_into(*torch_bridge::cpu_generator(at::detail::getDefaultCPUGenerator()));
    for (const auto& [generator, state] : generators_) {
      state.put_into(*torch_bridge::cpu_generator(generator));
    }
    device_generators_.put_back();
  });
}

void UndoLog::put_back_storages() {
  for (auto exchange = exchanges_.rbegin(); exchange != exchanges_.rend(); ++exchange) {
    attempt([&] { undo(*exchange); });
  }
  for (auto& [address, image] : images_) {
    attempt([&, &image = image] { undo(image); });
  }
}

void UndoLog::undo(Exchange& exchange) {
  const at::Tensor tensor = exchange.tensor.lock();
  if (!tensor.defined()) return;
  auto* const impl = tensor.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(exchange.storage);
  impl->set_sizes_and_strides(exchange.sizes, exchange.strides);
  impl->set_storage_offset(exchange.offset);
}

void UndoLog::undo(Image& image) {
  auto alive = image.storage.lock();
  if (!alive) return;
  const c10::StorageImpl* const address = alive.get();
  const c10::Storage storage(std::move(alive));
  if (!image.bytes) {
    torch_bridge::clear(storage);
  } else if (storage.nbytes() >= image.bytes.nbytes()) {
    torch_bridge::overwrite(storage, image.bytes);
  }
  if (image.version.enabled()) image.version.bump();
  const at::Tensor tensor = image.tensor.lock();
  if (torch_bridge::storage_of(tensor) == address &&
      lies_otherwise(tensor, image.sizes, image.strides)) {
    tensor.unsafeGetTensorImpl()->set_sizes_and_strides(image.sizes, image.strides);
  }
}

void UndoLog::put_back_gradients() {
  for (auto& [address, noted] : trained_) {
    const at::Tensor leaf = noted.leaf.lock();
    if (!leaf.defined()) continue;
    const bool has_changed =
        noted.content.defined() && torch_bridge::version_of(noted.gradient) != noted.version;
    leaf.mutable_grad() = has_changed ? noted.content : noted.gradient;
  }
}

}  // namespace remat::tape

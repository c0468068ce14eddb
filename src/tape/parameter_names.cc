#include "tape/parameter_names.h"

#include <torch/nn/module.h>

#include "torch_bridge/storage_view.h"

namespace remat::tape {

void ParameterNames::add(const torch::nn::Module& root) {
  std::unordered_map<const c10::StorageImpl*, Named> added;
  const auto add_tensor = [&](const std::string& name, const at::Tensor& tensor) {
    if (!tensor.defined() || !torch_bridge::is_plain(tensor)) return;
    const c10::Storage& storage = tensor.storage();
    added.try_emplace(storage.unsafeGetStorageImpl(), Named{storage.getWeakStorageImpl(), name});
  };
  for (const auto& item : root.named_parameters()) add_tensor(item.key(), item.value());
  for (const auto& item : root.named_buffers()) add_tensor(item.key(), item.value());
  for (auto& [storage, named] : added) names_.insert_or_assign(storage, std::move(named));
}

const std::string* ParameterNames::find(const c10::StorageImpl* storage) const {
  const auto found = names_.find(storage);
  return found != names_.end() ? &found->second.name : nullptr;
}

}  // namespace remat::tape

#include "tape/uncounted_storages.h"

#include <iterator>

#include <torch/nn/module.h>

#include "torch_bridge/device_ledger.h"

namespace remat::tape {

std::int64_t UncountedStorages::meet(const at::Tensor& tensor) {
  const c10::StorageImpl* const storage = torch_bridge::storage_of(tensor);
  if (storage == nullptr || storage->device() != device_) return 0;
  if (storage->allocator() == nullptr || torch_bridge::is_counted(*storage)) return 0;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto [place, is_new] = met_.emplace(storage, torch_bridge::address_of_storage(tensor));
  return is_new ? static_cast<std::int64_t>(storage->nbytes()) : 0;
}

void UncountedStorages::meet(const torch::nn::Module& root) {
  for (const at::Tensor& parameter : root.parameters()) {
    meet(parameter);
    meet(parameter.grad());
  }
  for (const at::Tensor& buffer : root.buffers()) meet(buffer);
}

Bytes UncountedStorages::bytes() {
  const std::lock_guard<std::mutex> lock(mutex_);
  Bytes sum;
  for (auto place = met_.begin(); place != met_.end();) {
    const auto alive = place->second.lock();
    if (alive) sum += Bytes(static_cast<std::int64_t>(alive->nbytes()));
    place = alive ? std::next(place) : met_.erase(place);
  }
  return sum;
}

}  // namespace remat::tape

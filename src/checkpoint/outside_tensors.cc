#include "checkpoint/outside_tensors.h"

#include <iterator>

#include <fmt/format.h>

#include <remat/error.h>

#include "checkpoint/saved_metadata.h"

namespace remat {

bool StorageLedger::note_read(const at::Tensor& tensor, c10::StorageImpl* storage) {
  if (made_here(storage) || outside_.count(storage) != 0) {
    return false;
  }
  outside_.emplace(storage, torch_bridge::address_of_storage(tensor));
  return true;
}

void StorageLedger::note_result(c10::StorageImpl* storage) {
  if (outside_.count(storage) == 0) {
    made_here_.insert(storage);
  }
}

void Preimages::keep(const at::Tensor& tensor, c10::StorageImpl* storage) {
  if (!contains(storage)) {
    bytes_.emplace(storage, Kept{torch_bridge::address_of_storage(tensor),
                                 torch_bridge::copy_of_storage(tensor)});
  }
  note_without_grad(tensor);
  if (tensor.is_view()) {
    note_without_grad(at::Tensor(tensor._base()));  // gets a history with its view
  }
}

void Preimages::note_without_grad(const at::Tensor& tensor) {
  if (!tensor.requires_grad()) {
    without_grad_.emplace(tensor.unsafeGetTensorImpl(), torch_bridge::WeakTensor(tensor));
  }
}

void Preimages::finish() {
  for (auto entry = without_grad_.begin(); entry != without_grad_.end();) {
    const at::Tensor tensor = entry->second.lock();
    entry =
        tensor.defined() && tensor.requires_grad() ? std::next(entry) : without_grad_.erase(entry);
  }
}

bool Preimages::got_history(const at::Tensor& tensor) const {
  return without_grad_.count(tensor.unsafeGetTensorImpl()) != 0;
}

at::Tensor Preimages::find(c10::StorageImpl* storage) const {
  const auto found = bytes_.find(storage);
  return found != bytes_.end() ? found->second.bytes : at::Tensor();
}

void check_unchanged(const std::vector<OutsideRead>& reads, const Preimages& written_by_region,
                     const std::string& region) {
  for (const OutsideRead& read : reads) {
    const at::Tensor tensor = read.tensor.lock();
    if (!tensor.defined() || written_by_region.contains(read.storage)) {
      continue;
    }
    const std::int64_t version = torch_bridge::version_of(tensor);
    if (version != read.version) {
      const auto& schema = read.op.schema();
      throw CheckpointError(fmt::format(
          "{}: cannot recompute: a tensor that the region reads has been modified by an inplace "
          "operation since the forward: {}, argument '{}' of {}, is at version {}; expected version {}. "
          "Change it after backward, or give the region a copy (clone()).",
          region, describe(tensor), schema.arguments()[read.argument].name(), schema.name(),
          version, read.version));
    }
  }
}

}  // namespace remat

// The tensors that a region reads or writes but did not make: they are still there, perhaps changed,
// when the region is recomputed (Rules 11 and 12 of docs/design/semantics.md).
#pragma once

#include <vector>

#include <c10/util/flat_hash_map.h>

#include "torch_bridge/op_interceptor.h"
#include "torch_bridge/tensor_alias.h"

namespace remat {

/// Tells the storages made since it began from those that were there before.
class StorageLedger {
 public:
  /// Notes that an operator reads `storage`. True the first time, if it was not made here.
  bool note_read(const at::Tensor& tensor, c10::StorageImpl* storage);

  /// Notes that an operator returned `storage`: made here unless it was read from outside before.
  void note_result(c10::StorageImpl* storage);

  bool made_here(c10::StorageImpl* storage) const { return made_here_.count(storage) != 0; }

 private:
  ska::flat_hash_set<c10::StorageImpl*> made_here_;
  // Held, so that no storage made here can get the address of an outside one that has died.
  ska::flat_hash_map<c10::StorageImpl*, torch_bridge::StorageAddress> outside_;
};

/// The content of outside storages before the region first wrote them.
class Preimages {
 public:
  bool empty() const { return bytes_.empty(); }
  bool contains(c10::StorageImpl* storage) const { return bytes_.count(storage) != 0; }

  /// To be called before `tensor` is written. Copies the storage behind it unless that was done already.
  void keep(const at::Tensor& tensor, c10::StorageImpl* storage);

  /// The forward is over: forgets which tensors it cannot have given a history.
  void finish();

  /// Whether `tensor` requires a gradient only since the forward wrote it.
  bool got_history(const at::Tensor& tensor) const;

  /// The bytes kept for `storage`, undefined if none. Not to be written.
  at::Tensor find(c10::StorageImpl* storage) const;

 private:
  void note_without_grad(const at::Tensor& tensor);

  struct Kept {
    torch_bridge::StorageAddress address;  // held: the key stays this storage's own
    at::Tensor bytes;
  };
  ska::flat_hash_map<c10::StorageImpl*, Kept> bytes_;
  // Tensors that required no gradient when they were first written.
  ska::flat_hash_map<c10::TensorImpl*, torch_bridge::WeakTensor> without_grad_;
};

/// An outside tensor at its first use in the region's forward.
struct OutsideRead {
  torch_bridge::WeakTensor tensor;
  std::int64_t version;
  c10::StorageImpl* storage;  // an identity, not to be followed
  c10::OperatorHandle op;
  std::size_t argument;
};

/// Throws CheckpointError, naming the tensor, if one of `reads` was changed in place since, other than
/// by the region itself.
void check_unchanged(const std::vector<OutsideRead>& reads, const Preimages& written_by_region,
                     const std::string& region);

}  // namespace remat

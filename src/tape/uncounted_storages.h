// Memory that LibTorch's allocator handed out before it was counted.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include <ATen/core/Tensor.h>

#include <remat/bytes.h>

#include "torch_bridge/tensor_alias.h"

namespace torch::nn {
class Module;
}

namespace remat::tape {

/// Of one device, as far as steps meet it: a model that was made before its budget. What LibTorch did not allocate
/// (from_blob) is none of it. Threads: any.
class UncountedStorages {
 public:
  explicit UncountedStorages(c10::Device device) : device_(device) {}

  /// The bytes of a tensor's storage if it is of that sort and was not met before, otherwise 0.
  /// Cost: a comparison of pointers for memory that is counted.
  std::int64_t meet(const at::Tensor& tensor);
  /// A module's parameters, their gradients, and its buffers.
  void meet(const torch::nn::Module& root);

  /// Of all that was met and is still there.
  Bytes bytes();

 private:
  const c10::Device device_;
  std::mutex mutex_;
  // The references keep addresses from being used again.
  std::unordered_map<const c10::StorageImpl*, torch_bridge::StorageAddress> met_;
};

}  // namespace remat::tape

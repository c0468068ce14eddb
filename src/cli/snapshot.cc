#include "cli/snapshot.h"

#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>

#include "base/check.h"

namespace remat::cli {
namespace {

// A CPU tensor over `bytes`, which it does not own: it takes no memory from LibTorch's allocator.
at::Tensor view_of(std::vector<std::byte>& bytes, const at::Tensor& like) {
  return at::from_blob(bytes.data(), like.sizes(), like.options().device(at::kCPU));
}

}  // namespace

Snapshot::Snapshot(const std::vector<at::Tensor>& tensors) {
  const c10::AutoGradMode no_grad(false);
  copies_.reserve(tensors.size());
  for (const auto& tensor : tensors) {
    auto& copy = copies_.emplace_back(tensor.nbytes());
    view_of(copy, tensor).copy_(tensor);
  }
}

void Snapshot::restore(const std::vector<at::Tensor>& tensors) const {
  REMAT_ASSERT(tensors.size() == copies_.size());
  const c10::AutoGradMode no_grad(false);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    REMAT_ASSERT(tensors[i].nbytes() == copies_[i].size());
    auto copy = copies_[i];
    tensors[i].copy_(view_of(copy, tensors[i]));
  }
}

}  // namespace remat::cli

// Copies of tensors that no MemoryTracker sees.
#pragma once

#include <cstddef>
#include <vector>

#include <ATen/core/Tensor.h>

namespace remat::cli {

/// The bits of some tensors at one moment.
///
/// They lie in memory of this object, not in tensors: a measurement can keep them across its window
/// and what it tracks is what a run without them would track. Nothing is to be subtracted.
class Snapshot {
 public:
  explicit Snapshot(const std::vector<at::Tensor>& tensors);

  /// Writes the bits back, in place. `tensors` must be those that the snapshot was made from.
  void restore(const std::vector<at::Tensor>& tensors) const;

  /// True if there are as many tensors, each with the same number of bytes and the same bits. Stricter
  /// than torch::equal, for which 0 and -0 are equal; and a NaN equals itself.
  friend bool operator==(const Snapshot& a, const Snapshot& b) { return a.copies_ == b.copies_; }
  friend bool operator!=(const Snapshot& a, const Snapshot& b) { return !(a == b); }

 private:
  std::vector<std::vector<std::byte>> copies_;
};

}  // namespace remat::cli

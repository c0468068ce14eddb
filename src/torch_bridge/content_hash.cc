#include "torch_bridge/content_hash.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/util/SmallVector.h>

#include "torch_bridge/op_interceptor.h"
#include "torch_bridge/storage_view.h"
#include "torch_bridge/tensor_alias.h"

namespace remat::torch_bridge {
namespace {

/// For work of remat's own: no autograd, no interceptors.
struct BelowEverything {
  InterceptorPause pause;
  at::AutoDispatchBelowADInplaceOrView below_autograd;
};

struct Dimension {
  std::int64_t size, stride;  // in bytes
};
using Dimensions = c10::SmallVector<Dimension, 8>;

/// The dimensions that matter, outermost first: neighbours that are one walk are joined.
Dimensions walk_of(const at::Tensor& tensor) {
  const auto element = static_cast<std::int64_t>(tensor.itemsize());
  Dimensions walk;
  for (std::int64_t i = 0; i < tensor.dim(); ++i) {
    if (tensor.size(i) == 1) continue;
    const Dimension next{tensor.size(i), tensor.stride(i) * element};
    if (!walk.empty() && walk.back().stride == next.size * next.stride) {
      walk.back() = {walk.back().size * next.size, next.stride};
    } else {
      walk.push_back(next);
    }
  }
  return walk;
}

/// Hashes rows: the innermost of the dimensions, in one piece or element by element.
class RowHasher {
 public:
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): gathered_ is filled before it is read
  RowHasher(std::size_t element, Dimension row)
      : element_(element),
        row_(row),
        in_one_piece_(row.stride == static_cast<std::int64_t>(element)) {}

  void add(const char* row) {
    if (in_one_piece_) {
      hasher_.add(row, static_cast<std::size_t>(row_.size) * element_);
      return;
    }
    for (std::int64_t done = 0; done < row_.size;) {
      done += gather(row + done * row_.stride, row_.size - done);
      if (filled_ == gathered_.size()) flush();
    }
  }

  Hash128 finish() {
    flush();
    return hasher_.finish();
  }

 private:
  // As many elements as there is room for.
  std::int64_t gather(const char* from, std::int64_t most) {
    switch (element_) {
      case 1:
        return gather_as<std::uint8_t>(from, most);
      case 2:
        return gather_as<std::uint16_t>(from, most);
      case 4:
        return gather_as<std::uint32_t>(from, most);
      case 8:
        return gather_as<std::uint64_t>(from, most);
      default:
        return gather_as<std::array<std::uint64_t, 2>>(from, most);
    }
  }

  template <class Element>
  std::int64_t gather_as(const char* from, std::int64_t most) {
    const auto room = static_cast<std::int64_t>((gathered_.size() - filled_) / sizeof(Element));
    const std::int64_t count = std::min(room, most);
    char* to = gathered_.data() + filled_;
    const std::int64_t stride = row_.stride;
    for (std::int64_t i = 0; i < count; ++i, to += sizeof(Element), from += stride) {
      std::memcpy(to, from, sizeof(Element));
    }
    filled_ += static_cast<std::size_t>(count) * sizeof(Element);
    return count;
  }

  void flush() {
    hasher_.add(gathered_.data(), filled_);
    filled_ = 0;
  }

  std::size_t element_;
  Dimension row_;
  bool in_one_piece_;
  ByteHasher hasher_;
  std::array<char, 4096> gathered_;  // a multiple of every element's size
  std::size_t filled_ = 0;
};

/// Calls `visit` with the begin of every row, in row-major order.
template <class Visit>
void for_each_row(const char* data, const Dimensions& outer, Visit visit) {
  c10::SmallVector<std::int64_t, 8> at(outer.size(), 0);
  for (;;) {
    visit(data);
    std::size_t i = outer.size();
    for (; i > 0; --i) {
      data += outer[i - 1].stride;
      if (++at[i - 1] < outer[i - 1].size) break;
      data -= outer[i - 1].stride * outer[i - 1].size;
      at[i - 1] = 0;
    }
    if (i == 0) return;
  }
}

Hash128 hash_of_elements(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return ByteHasher().finish();
  const auto element = static_cast<std::int64_t>(tensor.itemsize());
  Dimensions outer = walk_of(tensor);
  Dimension row{1, element};
  if (!outer.empty()) row = outer.pop_back_val();
  RowHasher hasher(tensor.itemsize(), row);
  for_each_row(bytes_to_read(tensor), outer, [&](const char* begin) { hasher.add(begin); });
  return hasher.finish();
}

/// Returns when all streams have done what may write the tensor: it may not be the current one.
void wait_for_writers(const at::Tensor& tensor) {
  if (tensor.is_cuda()) at::detail::getCUDAHooks().deviceSynchronize(tensor.device().index());
}

bool has_plain_data(const at::Tensor& tensor) {
  return tensor.defined() && tensor.layout() == c10::kStrided && !tensor.is_meta() &&
         storage_of(tensor) != nullptr && !tensor._is_zerotensor();
}

}  // namespace

Hash128 content_hash(const at::Tensor& tensor) {
  if (!has_plain_data(tensor)) return {};
  if (tensor.is_cpu() && !tensor.is_conj() && !tensor.is_neg()) return hash_of_elements(tensor);
  const BelowEverything guard;
  wait_for_writers(tensor);
  return hash_of_elements(tensor.resolve_conj().resolve_neg().cpu());
}

Hash128 memory_order_hash(const at::Tensor& tensor) {
  if (!has_plain_data(tensor)) return {};
  if (tensor.is_cpu() && tensor.is_non_overlapping_and_dense()) {
    return hash_of_bytes(bytes_to_read(tensor), tensor.nbytes());
  }
  if (tensor.is_cpu()) return hash_of_elements(tensor);
  const BelowEverything guard;
  wait_for_writers(tensor);
  return memory_order_hash(tensor.cpu());
}

Hash128 storage_hash(const at::Tensor& tensor) {
  if (!has_plain_data(tensor)) return {};
  const std::size_t bytes = tensor.storage().nbytes();
  if (tensor.is_cpu()) return hash_of_bytes(tensor.storage().data(), bytes);
  const BelowEverything guard;
  wait_for_writers(tensor);
  return hash_of_elements(bytes_of(tensor.storage()).cpu());
}

}  // namespace remat::torch_bridge

// A chain as its planners see it: sizes and times by place, and what each move needs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <remat/graph.h>

#include "base/wide_sum.h"

namespace remat::plan {

/// Times and sizes from here on count as never and nowhere. Two of them still add up.
inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max() / 4;

constexpr std::int64_t capped(std::int64_t sum) { return std::min(sum, kNever); }

struct ModelOption {
  std::int64_t saved = 0;
  std::int64_t time = 0;           ///< forward and backward
  std::int64_t forward_bytes = 0;  ///< saved and workspace
  /// In backward: saved, workspace, and the gradients of input and output.
  std::int64_t backward_bytes = 0;
  std::int64_t place = 0;  ///< in Stage::options
};

/// The stages from `first` to `last`. To reverse it means: its input is there, and so is the gradient of its
/// output, unless `last` is the loss; at the end there is the gradient of its input. What it may use does not
/// count its input, and does count the gradients.
struct ChainSegment {
  std::size_t first = 0;
  std::size_t last = 0;

  std::size_t stages() const { return last - first + 1; }
  ChainSegment without_first() const { return {first + 1, last}; }
  ChainSegment from(std::size_t stage) const { return {stage, last}; }
  ChainSegment before(std::size_t stage) const { return {first, stage - 1}; }
};

/// Precondition of all that takes one: graph::check_chain.
struct ChainModel {
  explicit ChainModel(const Chain& chain);

  std::size_t stages() const { return forward.size(); }
  ChainSegment whole() const { return {0, stages() - 1}; }

  /// The gradient that is there while forwards run in a segment.
  std::int64_t held_gradient(std::size_t last) const {
    return last + 1 == stages() ? 0 : gradient[last + 1];
  }

  /// Running stage `k` to keep its output only, `k` after `first`: its own input counts.
  std::int64_t pass_bytes(std::size_t k) const {
    return activation[k] + activation[k + 1] + forward_workspace[k];
  }
  std::int64_t checkpoint_bytes(std::size_t k) const {
    return activation[k + 1] + forward_workspace[k];
  }

  /// Saving `first` by an option, and its backward, in a segment that ends with `last`. The gradient that is
  /// there at a save is that of the segment's end, not of the stage.
  std::int64_t save_bytes(const ModelOption& option, std::size_t last) const {
    return std::max(option.forward_bytes + held_gradient(last), option.backward_bytes);
  }

  /// Of the forwards that save nothing.
  std::int64_t forward_time(ChainSegment segment) const {
    const auto time = forward_sum[segment.last + 1] - forward_sum[segment.first];
    return time < kNever ? static_cast<std::int64_t>(time) : kNever;
  }

  std::int64_t plain_time(ChainSegment segment) const {
    return plain_sum[segment.last + 1] - plain_sum[segment.first];
  }

  /// Of a budget, what reversing the whole chain may use.
  std::int64_t room(Bytes memory) const { return (memory - fixed).count() - activation[0]; }

  Bytes fixed;
  std::vector<std::int64_t> activation;  ///< activation i is the input of stage i
  std::vector<std::int64_t> gradient;
  std::vector<std::int64_t> forward;
  std::vector<std::int64_t> forward_workspace;
  std::vector<std::vector<ModelOption>> options;
  std::vector<std::int64_t> fastest;  ///< place of the option of least time, the smallest of those
  std::vector<WideSum> forward_sum;
  std::vector<std::int64_t> plain_sum;
};

}  // namespace remat::plan

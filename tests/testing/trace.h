// What a piece of training leaves behind, to compare the plain one with the checkpointed one bit by
// bit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <remat/bytes.h>

#include "tests/testing/models.h"

namespace remat {

/// For GoogleTest's messages.
inline void PrintTo(Bytes bytes, std::ostream* out) { *out << bytes.count() << " bytes"; }

}  // namespace remat

namespace remat::testing {

// ---- counting calls ------------------------------------------------------------------------------

/// Calls of one function: by the user's own code, and by recomputations.
struct Calls {
  int forward = 0;
  int recomputed = 0;

  /// To be called by the function that is counted.
  void count();
};

/// `layers`, each call counted in `calls`, which must outlive them.
std::vector<Layer> counted(const std::vector<Layer>& layers, Calls& calls);

// ---- traces --------------------------------------------------------------------------------------

/// Named tensors in the order they were seen; an undefined one says "no gradient".
using Trace = std::vector<std::pair<std::string, at::Tensor>>;

/// Same sizes, dtype and bits: -0 is not 0, and a NaN is itself.
::testing::AssertionResult bit_identical(const at::Tensor& a, const at::Tensor& b);

/// Expects two traces to hold the same names and bit-identical tensors, at least one of them
/// a gradient that is not all zeros.
void expect_same(const Trace& plain, const Trace& checkpointed);

// ---- a call ----------------------------------------------------------------------------------------

using Leaves = std::vector<at::Tensor>;
using Call = std::function<at::Tensor(const Leaves&)>;

/// Normal values from a stream of their own.
at::Tensor values(at::IntArrayRef sizes, std::uint64_t seed = 1);
/// The same, requiring a gradient.
at::Tensor leaf(at::IntArrayRef sizes, std::uint64_t seed = 1);

/// Runs `call` on copies of `leaves` and a backward pass from its result; traces the result, the
/// gradients of the copies, the copies and the random numbers drawn after forward and after backward.
Trace trace_call(const Leaves& leaves, const Call& call);

/// Expects `checkpointed` to do what `plain` does, from the same state, and to recompute `recomputations`
/// times in doing so.
void expect_same_call(const Leaves& leaves, const Call& plain, const Call& checkpointed,
                      int recomputations = 1);

// ---- a step of a model -----------------------------------------------------------------------------

/// Runs a chain of layers on an input in some way of its own.
using RunLayers = std::function<at::Tensor(const std::vector<Layer>&, at::Tensor)>;

struct Step {
  Trace trace;  // output, loss, random draws, then every gradient and buffer by name
  Calls calls;
  Bytes live_after_forward;  // activations: all but parameters, buffers and input
  Bytes peak;                // of the step, counted as above
  Bytes leaked;              // still live after backward besides what the trace holds
};

Step train_step(const MakeModel& make, const RunLayers& run);

/// Expects `run` to train as the plain model does, its layers to be called `recomputed` times more,
/// and nothing to leak. Gives the two steps for further comparison: plain, then checkpointed.
std::pair<Step, Step> expect_same_as_plain(const MakeModel& make, const RunLayers& run,
                                           int recomputed);

}  // namespace remat::testing

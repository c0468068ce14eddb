// Trains a model of the zoo plainly and in some other way, and compares all it leaves behind, bit by bit.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <remat/bytes.h>

#include "tests/tape/model_zoo.h"

namespace remat::testing {

/// A tensor's content, held outside of LibTorch's allocator: recording a step changes no later figure.
struct RecordedTensor {
  bool defined = false;
  at::ScalarType dtype = at::kFloat;
  std::vector<std::int64_t> sizes;
  std::string bits;  // of a sparse tensor: its indices, then its values, as they are
};

struct RecordedStep {
  RecordedTensor loss;
  RecordedTensor generator;  ///< the default generator's state after the step
  std::vector<RecordedTensor> gradients, parameters, buffers;
  Bytes fixed;          ///< live before the step: parameters, gradients, optimizer state, data
  Bytes backward_peak;  ///< tracked peak of forward and backward, fixed bytes included
  Bytes peak;           ///< of the whole step, the optimizer's too

  Bytes activation_peak() const { return backward_peak - fixed; }
};

using Training = std::vector<RecordedStep>;

enum class ZooOptimizer { kSgdMomentum, kAdamW };
std::ostream& operator<<(std::ostream& out, ZooOptimizer optimizer);
/// Those that can train the model.
std::vector<ZooOptimizer> optimizers_for(const ZooModel& model);

/// Calls the step that it is given, once: within a scope, after preparation, or as it is. The step is
/// forward, backward and the optimizer.
using RunStep = std::function<void(const std::function<void()>& step)>;

struct TrainingOptions {
  ZooOptimizer optimizer = ZooOptimizer::kSgdMomentum;
  int steps = 5;
  /// Gradients are released before each step, and made anew by it; otherwise they are zeroed in place.
  bool release_gradients = false;
};

/// Makes the model and trains it on this thread. What `run_step` refers to, a Budget say, may be made
/// before: the tracked bytes begin with the model's.
Training train(
    const ZooModel& model, const TrainingOptions& options,
    const RunStep& run_step = [](const auto& step) { step(); });

/// The largest activation peak after the first step: the optimizer has its state by then.
Bytes activation_peak(const Training& training);
/// What a step needs with `share` of the activation peak, fixed bytes included: the largest of the steps
/// after the first.
Bytes budget_of(const Training& training, double share);

/// The first tensor that is not the same in both, as "step 2, gradient 5 of 12 (8, 16): element 17 of 128
/// is 0.25, expected 0.5"; empty if there is none.
std::string first_difference(const Training& expected, const Training& found);

/// Expects losses, gradients, parameters, buffers and random numbers to have the same bits in each step.
void expect_equal(const Training& plain, const Training& other);

}  // namespace remat::testing

// Models and mixes of operators that a tape must replay: what people train, and what is hard to record.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace remat::testing {

/// One model in training, with its data.
class ZooStep {
 public:
  virtual ~ZooStep() = default;
  virtual std::vector<at::Tensor> parameters() const = 0;
  /// What else the model changes and keeps: statistics, caches.
  virtual std::vector<at::Tensor> buffers() const = 0;
  /// The forward of one step on that step's data: a scalar to call backward() on. May itself run backward
  /// passes before. Data come round again, mostly every second step.
  virtual at::Tensor loss(int step) = 0;
};

struct ZooModel {
  std::string name;  ///< in CamelCase
  /// Seeds the default generator first: two of them are equal. Train one after the other.
  std::function<std::unique_ptr<ZooStep>()> make;
  /// Overwrites through a pointer what an operator had made: below autograd nobody sees it.
  bool writes_through_pointers = false;
  /// The operators or their shapes are not the same in each step.
  bool steps_differ = false;
  /// Some gradients are sparse: AdamW refuses them.
  bool sparse_gradients = false;
};

/// All of them, in the order of the files zoo_*.cc.
const std::vector<ZooModel>& model_zoo();

/// For GoogleTest's messages.
std::ostream& operator<<(std::ostream& out, const ZooModel& model);

}  // namespace remat::testing

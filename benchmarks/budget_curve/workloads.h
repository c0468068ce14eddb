// The models of the budget curve, with their data: seconds of two cores for a step, hundreds of MiB of
// activations.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <torch/nn/module.h>

#include <remat/placement.h>

namespace remat::benchmarks {

struct Workload {
  std::string name;
  std::shared_ptr<torch::nn::Module> model;
  /// Forward and loss; under a placement for those that have `regions`.
  std::function<at::Tensor(const Placement&)> loss;
  bool regions = false;
};

/// Empty: `name` is none of workload_names().
std::vector<std::string> workload_names();
/// Small sizes if `smoke`. Made anew, equal, each time.
Workload make_workload(const std::string& name, bool smoke);

}  // namespace remat::benchmarks

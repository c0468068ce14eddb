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
  std::function<at::Tensor(const Placement&)> loss;  ///< forward and loss
};

std::vector<std::string> workload_names();
/// `name` is one of workload_names(). Small sizes if `smoke`. Made anew, equal, each time.
Workload make_workload(const std::string& name, bool smoke);

}  // namespace remat::benchmarks

// How the models of the zoo are written down: parameters, buffers and a loss, as a lambda makes them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

#include "tests/tape/model_zoo.h"

namespace remat::testing {

struct ZooParts {
  std::vector<at::Tensor> parameters;
  std::function<at::Tensor(int step)> loss;
  std::vector<at::Tensor> buffers = {};
};

/// A model that `make` makes of the default generator's numbers.
ZooModel zoo_model(std::string name, std::function<ZooParts()> make);

/// Data for the steps of a model, by turns.
class Batches {
 public:
  explicit Batches(std::vector<at::Tensor> tensors) : tensors_(std::move(tensors)) {}
  const at::Tensor& operator()(int step) const {
    return tensors_[static_cast<std::size_t>(step) % tensors_.size()];
  }

 private:
  std::vector<at::Tensor> tensors_;
};

/// Two batches of normal values.
Batches normal(at::IntArrayRef sizes);
/// Two batches of whole numbers from 0 to n - 1.
Batches below(std::int64_t n, at::IntArrayRef sizes);

/// Normal values of deviation 0.3, requiring a gradient.
at::Tensor weight(at::IntArrayRef sizes);

/// Smooth, and no operator's gradient is the same everywhere.
inline at::Tensor loss_of(const at::Tensor& x) { return x.tanh().pow(2).mean(); }

/// The parameters and buffers of a module holder, which `loss` must own.
template <class Module>
ZooParts parts_of(const Module& module, std::function<at::Tensor(int step)> loss) {
  return {module->parameters(), std::move(loss), module->buffers()};
}

/// A weight (16, 16) and inputs (8, 16): enough for most mixes of operators. The loss is summed over four
/// times the inputs, so that what one of them saves is a fraction of the activation peak.
using MixLoss = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& w)>;
ZooModel operator_mix(std::string name, MixLoss loss);

/// The parts of the zoo, a file each.
std::vector<ZooModel> zoo_networks();
std::vector<ZooModel> zoo_recurrent();
std::vector<ZooModel> zoo_layers();
std::vector<ZooModel> zoo_operators();
std::vector<ZooModel> zoo_in_place();
std::vector<ZooModel> zoo_autograd();

}  // namespace remat::testing

// The models of all contenders, as functions in a row that a contender may checkpoint one by one.
// models.py has the same, line by line.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <torch/torch.h>

namespace remat::benchmarks {

using Layer = std::function<torch::Tensor(const torch::Tensor&)>;

struct Model {
  std::vector<Layer> layers;  ///< checkpointed, each by itself
  Layer head;                 ///< to one logit vector for each target; never checkpointed
  torch::Tensor input;        ///< of the first layer
  torch::Tensor target;
  std::vector<torch::Tensor> parameters;
};

/// gpt512, gpt2048, llama512, llama2048, resnet, lstm, tiny, or demo (what `remat train` has by default), of
/// tensors of `kind`: where and in what type. Elsewhere than on the CPU all but the last two are larger.
/// Errors: std::invalid_argument for another name.
Model make_model(const std::string& name, const at::TensorOptions& kind);

}  // namespace remat::benchmarks

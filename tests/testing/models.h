// Small models as plain LibTorch, each a chain of seven layers: enough for none, full, every:2,
// segments:2 and sqrt to place their regions differently.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include <torch/nn/modules/container/modulelist.h>

#include <remat/sequential.h>

namespace remat::testing {

constexpr int kLayers = 7;

struct Model {
  torch::nn::ModuleList modules;  // owns the parameters and buffers
  std::vector<Layer> layers;      // what to run, in order; they share `modules`
  at::Tensor input;               // (64, 32) floats, (4, 12) tokens, (4, 3, 8, 8) or (6, 8, 24)
};

/// Makes a model from the random stream of the default generator. No input requires a gradient.
using MakeModel = std::function<Model()>;

Model make_mlp(double dropout);
/// Embedding and positions, five blocks with materialised attention, head.
Model make_gpt(double dropout);
/// Stem, five residual blocks, head; BatchNorm and in-place ReLU throughout.
Model make_resnet(double dropout);
/// Seven two-layer LSTMs.
Model make_lstm(double dropout);

struct NamedModel {
  std::string name;
  Model (*make)(double dropout);
};
/// For GoogleTest's messages.
std::ostream& operator<<(std::ostream& out, const NamedModel& model);
const std::vector<NamedModel>& all_models();

/// The layers one after another, without remat.
at::Tensor run_plainly(const std::vector<Layer>& layers, at::Tensor x);

}  // namespace remat::testing

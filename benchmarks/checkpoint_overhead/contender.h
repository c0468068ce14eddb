// How a layer is called: what the contenders differ in.
#pragma once

#include "checkpoint_overhead/models.h"

namespace remat::benchmarks {

torch::Tensor call_plain(const Layer& layer, const torch::Tensor& x);
torch::Tensor call_remat(const Layer& layer, const torch::Tensor& x);

/// What C++ users write today: a custom autograd function whose backward runs the layer again and
/// starts a backward pass inside the backward pass.
torch::Tensor call_reentrant(const Layer& layer, const torch::Tensor& x);

}  // namespace remat::benchmarks

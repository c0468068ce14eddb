// Residual networks for images, written as LibTorch's users write them: BatchNorm and ReLU in place.
#pragma once

#include <cstdint>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <remat/placement.h>
#include <remat/sequential.h>

namespace remat::models {

/// Sizes of a ResNet. The defaults are ResNet-18's.
struct ResNetConfig {
  std::vector<std::int64_t> blocks = {2, 2, 2, 2};  ///< of each stage
  bool bottleneck = false;  ///< blocks of 1x1, 3x3, 1x1 convolutions rather than of two of 3x3
  std::int64_t width =
      64;  ///< channels of the first stage; each stage has twice those of the one before
  std::int64_t classes = 1000;
  bool small_images = false;  ///< starts at full resolution, for images of some 32 x 32

  static ResNetConfig resnet18() { return {}; }
  static ResNetConfig resnet50() { return {{3, 4, 6, 3}, /*bottleneck=*/true}; }
};

/// relu(branch(x) + shortcut(x)), both sums and ReLUs in place. The shortcut is x itself where shapes
/// agree, and a 1x1 convolution elsewhere.
///
/// Shapes: x (B, C, Y, X); returns (B, `to`, Y / stride, X / stride), rounded up.
class ResidualBlockImpl : public torch::nn::Module {
 public:
  ResidualBlockImpl(std::int64_t from, std::int64_t inner, std::int64_t to, std::int64_t stride,
                    bool bottleneck);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  torch::nn::Sequential branch_;
  torch::nn::Sequential shortcut_;  // empty: x itself
};
TORCH_MODULE(ResidualBlock);

/// The classifier: stem, stages of residual blocks, mean over the image, linear head.
///
/// Shapes: images (B, 3, Y, X), in any memory format; returns logits (B, classes).
/// Source: He et al. 2016, "Deep Residual Learning for Image Recognition", arXiv:1512.03385, table 1;
///         for small images section 4.2. A bottleneck's stride is in its 3x3 convolution, as in the
///         published PyTorch weights.
class ResNetImpl : public torch::nn::Module {
 public:
  /// Weights come from the default generator: call torch::manual_seed before for repeatable ones.
  explicit ResNetImpl(const ResNetConfig& config);
  /// Plain: no part of remat takes part in it.
  torch::Tensor forward(const torch::Tensor& images);
  /// The residual blocks run as the layers of `placement`; same result, bit for bit.
  /// Errors: also InvalidArgument if `placement` does not fit the number of blocks.
  torch::Tensor forward(const torch::Tensor& images, const Placement& placement);

 private:
  torch::Tensor head(const torch::Tensor& x);

  torch::nn::Sequential stem_;
  torch::nn::Sequential stages_;
  std::vector<Layer> blocks_;  // those of stages_
  torch::nn::Linear head_{nullptr};
};
TORCH_MODULE(ResNet);

}  // namespace remat::models

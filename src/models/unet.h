// A U-Net: an image to a class of each pixel, over skip connections that live through the whole model.
#pragma once

#include <cstdint>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>

namespace remat::models {

enum class ImageNorm { kBatch, kGroup };

/// Sizes of a U-Net. The defaults are the paper's.
struct UNetConfig {
  std::int64_t image_channels = 3;
  std::int64_t classes = 2;
  std::int64_t width = 64;  ///< channels at full resolution, a multiple of 8
  std::int64_t depth = 4;   ///< how often the resolution is halved and the channels are doubled
  ImageNorm norm = ImageNorm::kBatch;
};

/// Down by max-pooling, up by bilinear interpolation, each level two convolutions with norms and ReLUs
/// in place; on the way up each level also reads what its like on the way down made.
///
/// Shapes: images (B, image_channels, Y, X), Y and X at least 2 ^ depth; returns logits (B, classes, Y, X).
/// Source: Ronneberger et al. 2015, "U-Net", arXiv:1505.04597, figure 1, with padded convolutions, norms,
///         and interpolation with a convolution for its up-convolution (Odena et al. 2016,
///         "Deconvolution and Checkerboard Artifacts").
class UNetImpl : public torch::nn::Module {
 public:
  /// Weights come from the default generator: call torch::manual_seed before for repeatable ones.
  explicit UNetImpl(const UNetConfig& config);
  torch::Tensor forward(const torch::Tensor& images);

 private:
  std::vector<torch::nn::Sequential> down_;  // from full resolution to the lowest
  std::vector<torch::nn::Conv2d> narrow_;    // after each interpolation, from the lowest up
  std::vector<torch::nn::Sequential> up_;    // after each concatenation
  torch::nn::Conv2d head_{nullptr};
};
TORCH_MODULE(UNet);

}  // namespace remat::models

// A U-Net: an image to a class of each pixel, over skip connections that live through the whole model.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>

#include <remat/placement.h>

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
  /// Plain: no part of remat takes part in it.
  torch::Tensor forward(const torch::Tensor& images);
  /// The levels, depth + 1 down and depth up, run as the layers of `placement`; same result, bit for bit.
  /// Errors: also InvalidArgument if `placement` does not fit the number of levels.
  torch::Tensor forward(const torch::Tensor& images, const Placement& placement);

 private:
  // What levels hand on: on top the last one's result, below it those of the way down that the way up reads.
  using Stack = std::vector<torch::Tensor>;
  using Level = std::function<void(Stack&)>;

  static Stack run(const std::vector<Level>& levels, Stack stack);
  void add_way_down(const UNetConfig& config);
  void add_way_up(const UNetConfig& config);
  std::size_t reads(const Segment& segment) const;

  std::int64_t depth_;
  std::vector<Level> levels_;
  torch::nn::Conv2d head_{nullptr};
};
TORCH_MODULE(UNet);

}  // namespace remat::models

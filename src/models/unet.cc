#include "models/unet.h"

#include <string>

#include <torch/nn/functional/upsampling.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>

namespace remat::models {
namespace {

namespace nn = torch::nn;

constexpr std::int64_t kGroups = 8;

void add_convolution(nn::Sequential& to, std::int64_t from, std::int64_t channels, ImageNorm norm) {
  to->push_back(nn::Conv2d(nn::Conv2dOptions(from, channels, 3).padding(1).bias(false)));
  if (norm == ImageNorm::kBatch) {
    to->push_back(nn::BatchNorm2d(channels));
  } else {
    to->push_back(nn::GroupNorm(nn::GroupNormOptions(kGroups, channels)));
  }
  to->push_back(nn::ReLU(nn::ReLUOptions(/*inplace=*/true)));
}

nn::Sequential two_convolutions(std::int64_t from, std::int64_t to, ImageNorm norm) {
  nn::Sequential result;
  add_convolution(result, from, to, norm);
  add_convolution(result, to, to, norm);
  return result;
}

torch::Tensor resized_as(const torch::Tensor& x, const torch::Tensor& other) {
  const std::vector<std::int64_t> size = {other.size(2), other.size(3)};
  return nn::functional::interpolate(x, nn::functional::InterpolateFuncOptions()
                                            .size(size)
                                            .mode(torch::kBilinear)
                                            .align_corners(false));
}

}  // namespace

UNetImpl::UNetImpl(const UNetConfig& config) {
  auto channels = config.image_channels, width = config.width;
  for (std::int64_t level = 0; level <= config.depth; ++level, width *= 2) {
    const auto name = "down" + std::to_string(level);
    down_.push_back(register_module(name, two_convolutions(channels, width, config.norm)));
    channels = width;
  }
  for (auto level = config.depth - 1; level >= 0; --level, channels /= 2) {
    const auto name = std::to_string(level);
    narrow_.push_back(register_module(
        "narrow" + name, nn::Conv2d(nn::Conv2dOptions(channels, channels / 2, 3).padding(1))));
    up_.push_back(
        register_module("up" + name, two_convolutions(channels, channels / 2, config.norm)));
  }
  head_ = register_module("head", nn::Conv2d(nn::Conv2dOptions(channels, config.classes, 1)));
}

torch::Tensor UNetImpl::forward(const torch::Tensor& images) {
  std::vector<torch::Tensor> skips = {down_[0]->forward(images)};
  for (std::size_t level = 1; level < down_.size(); ++level) {
    skips.push_back(down_[level]->forward(torch::max_pool2d(skips.back(), 2)));
  }
  auto x = skips.back();
  for (std::size_t i = 0; i < up_.size(); ++i) {
    skips.pop_back();
    const auto wide = narrow_[i]->forward(resized_as(x, skips.back()));
    x = up_[i]->forward(torch::cat({skips.back(), wide}, 1));
  }
  return head_->forward(x);
}

}  // namespace remat::models

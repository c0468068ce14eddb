#include "models/unet.h"

#include <algorithm>
#include <string>
#include <utility>

#include <torch/nn/functional/upsampling.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>

#include <remat/checkpoint.h>

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

UNetImpl::UNetImpl(const UNetConfig& config) : depth_(config.depth) {
  add_way_down(config);
  add_way_up(config);
  head_ = register_module("head", nn::Conv2d(nn::Conv2dOptions(config.width, config.classes, 1)));
}

void UNetImpl::add_way_down(const UNetConfig& config) {
  auto channels = config.image_channels, width = config.width;
  for (std::int64_t level = 0; level <= config.depth; ++level, width *= 2) {
    auto convolutions = register_module("down" + std::to_string(level),
                                        two_convolutions(channels, width, config.norm));
    levels_.emplace_back([convolutions, first = level == 0](Stack& stack) mutable {
      if (first) {
        stack.back() = convolutions->forward(stack.back());
      } else {
        stack.push_back(convolutions->forward(torch::max_pool2d(stack.back(), 2)));
      }
    });
    channels = width;
  }
}

void UNetImpl::add_way_up(const UNetConfig& config) {
  auto channels = config.width << config.depth;
  for (auto level = config.depth - 1; level >= 0; --level, channels /= 2) {
    const auto name = std::to_string(level);
    auto narrow = register_module(
        "narrow" + name, nn::Conv2d(nn::Conv2dOptions(channels, channels / 2, 3).padding(1)));
    auto convolutions =
        register_module("up" + name, two_convolutions(channels, channels / 2, config.norm));
    levels_.emplace_back([narrow, convolutions](Stack& stack) mutable {
      const auto x = std::move(stack.back());
      stack.pop_back();
      const auto wide = narrow->forward(resized_as(x, stack.back()));
      stack.back() = convolutions->forward(torch::cat({stack.back(), wide}, 1));
    });
  }
}

UNetImpl::Stack UNetImpl::run(const std::vector<Level>& levels, Stack stack) {
  for (const auto& level : levels) level(stack);
  return stack;
}

torch::Tensor UNetImpl::forward(const torch::Tensor& images) {
  return head_->forward(run(levels_, {images}).back());
}

torch::Tensor UNetImpl::forward(const torch::Tensor& images, const Placement& placement) {
  Stack stack = {images};
  for (const Segment& segment : placement.segments(static_cast<std::int64_t>(levels_.size()))) {
    const std::vector<Level> levels(levels_.begin() + segment.begin, levels_.begin() + segment.end);
    if (!segment.checkpointed) {
      stack = run(levels, std::move(stack));
      continue;
    }
    // A region keeps what it is given: no more than it reads.
    const auto first_read = stack.end() - static_cast<std::ptrdiff_t>(reads(segment));
    const Stack read(first_read, stack.end());
    stack.erase(first_read, stack.end());
    const auto made = checkpoint([levels](Stack top) { return run(levels, std::move(top)); }, read);
    stack.insert(stack.end(), made.begin(), made.end());
  }
  return head_->forward(stack.back());
}

/// From the top of the stack. Each level down but the first leaves one more there, each level up one less.
std::size_t UNetImpl::reads(const Segment& segment) const {
  const auto count = [&segment](std::int64_t begin, std::int64_t end) {
    return std::max(std::min(segment.end, end) - std::max(segment.begin, begin), std::int64_t{0});
  };
  const auto added = count(1, depth_ + 1);
  const auto taken = count(depth_ + 1, static_cast<std::int64_t>(levels_.size()));
  return static_cast<std::size_t>(1 + std::max(taken - added, std::int64_t{0}));
}

}  // namespace remat::models

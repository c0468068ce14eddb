#include "models/resnet.h"

#include <torch/nn/init.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/pooling.h>
#include <torch/types.h>

namespace remat::models {
namespace {

namespace nn = torch::nn;

constexpr std::int64_t kBottleneckExpansion = 4;  // He et al. 2016, figure 5

nn::Conv2d convolution(std::int64_t from, std::int64_t to, std::int64_t kernel,
                       std::int64_t stride) {
  return nn::Conv2d(
      nn::Conv2dOptions(from, to, kernel).stride(stride).padding(kernel / 2).bias(false));
}

nn::ReLU relu() { return nn::ReLU(nn::ReLUOptions(/*inplace=*/true)); }

void add_convolution(nn::Sequential& to, const nn::Conv2d& conv) {
  to->push_back(conv);
  to->push_back(nn::BatchNorm2d(conv->options.out_channels()));
}

nn::Sequential branch(std::int64_t from, std::int64_t inner, std::int64_t to, std::int64_t stride,
                      bool bottleneck) {
  nn::Sequential branch;
  if (bottleneck) {
    add_convolution(branch, convolution(from, inner, 1, 1));
    branch->push_back(relu());
  }
  add_convolution(branch, convolution(bottleneck ? inner : from, inner, 3, stride));
  branch->push_back(relu());
  add_convolution(branch, convolution(inner, to, bottleneck ? 1 : 3, 1));
  return branch;
}

nn::Sequential stem(const ResNetConfig& config) {
  nn::Sequential stem;
  const auto width = config.width;
  add_convolution(stem,
                  config.small_images ? convolution(3, width, 3, 1) : convolution(3, width, 7, 2));
  stem->push_back(relu());
  if (!config.small_images) {
    stem->push_back(nn::MaxPool2d(nn::MaxPool2dOptions(3).stride(2).padding(1)));
  }
  return stem;
}

}  // namespace

ResidualBlockImpl::ResidualBlockImpl(std::int64_t from, std::int64_t inner, std::int64_t to,
                                     std::int64_t stride, bool bottleneck)
    : branch_(register_module("branch", branch(from, inner, to, stride, bottleneck))),
      shortcut_(register_module("shortcut", nn::Sequential())) {
  if (from != to || stride != 1) add_convolution(shortcut_, convolution(from, to, 1, stride));
}

torch::Tensor ResidualBlockImpl::forward(const torch::Tensor& x) {
  auto y = branch_->forward(x);
  y += shortcut_->is_empty() ? x : shortcut_->forward(x);
  return y.relu_();
}

ResNetImpl::ResNetImpl(const ResNetConfig& config)
    : stem_(register_module("stem", stem(config))),
      stages_(register_module("stages", nn::Sequential())) {
  auto channels = config.width, inner = config.width;
  for (std::size_t stage = 0; stage < config.blocks.size(); ++stage, inner *= 2) {
    const auto to = config.bottleneck ? kBottleneckExpansion * inner : inner;
    for (std::int64_t block = 0; block < config.blocks[stage]; ++block) {
      const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      const ResidualBlock made(channels, inner, to, stride, config.bottleneck);
      stages_->push_back(made);
      blocks_.emplace_back([made = made.ptr()](const at::Tensor& x) { return made->forward(x); });
      channels = to;
    }
  }
  head_ = register_module("head", nn::Linear(channels, config.classes));
  for (auto& parameter : parameters()) {
    if (parameter.dim() == 4) nn::init::kaiming_normal_(parameter, 0, torch::kFanOut, torch::kReLU);
  }
}

torch::Tensor ResNetImpl::head(const torch::Tensor& x) { return head_->forward(x.mean({2, 3})); }

torch::Tensor ResNetImpl::forward(const torch::Tensor& images) {
  return head(stages_->forward(stem_->forward(images)));
}

torch::Tensor ResNetImpl::forward(const torch::Tensor& images, const Placement& placement) {
  return head(run_layers(blocks_, placement, stem_->forward(images)));
}

}  // namespace remat::models

#include "models/resnet.h"

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/error.h>

#include "tests/models/learning.h"
#include "tests/models/placements.h"

namespace remat::models {
namespace {

std::int64_t parameter_count(const ResNetConfig& config) {
  std::int64_t count = 0;
  for (const auto& parameter : ResNet(config)->parameters()) count += parameter.numel();
  return count;
}

ResNetConfig small(bool bottleneck) {
  return {{1, 2, 1}, bottleneck, /*width=*/4, /*classes=*/3, /*small_images=*/true};
}

// The published weights of torchvision's resnet18 and resnet50 have as many.
TEST(ResNet, HasTheParametersOfThePublishedModels) {
  EXPECT_EQ(parameter_count(ResNetConfig::resnet18()), 11'689'512);
  EXPECT_EQ(parameter_count(ResNetConfig::resnet50()), 25'557'032);
}

TEST(ResNet, GivesLogitsOfImagesOfAnySize) {
  auto config = small(true);
  const std::vector<std::int64_t> expected = {2, 3};
  EXPECT_EQ(ResNet(config)->forward(torch::randn({2, 3, 9, 12})).sizes(), expected);
  config.small_images = false;
  EXPECT_EQ(ResNet(config)->forward(torch::randn({2, 3, 41, 32})).sizes(), expected);
}

// Stem and pooling halve twice, each later stage once.
TEST(ResNet, HalvesTheResolutionFiveTimes) {
  ResNetConfig config;
  config.width = 4;
  const auto modules = ResNet(config)->children();
  auto x = torch::randn({1, 3, 64, 96});
  for (int i = 0; i < 2; ++i) x = modules[i]->as<torch::nn::Sequential>()->forward(x);
  EXPECT_EQ(x.sizes(), (std::vector<std::int64_t>{1, 32, 2, 3}));
}

TEST(ResNet, LearnsOnBasicBlocksAndOnBottlenecks) {
  for (const bool bottleneck : {false, true}) {
    torch::manual_seed(3);
    ResNet model(small(bottleneck));
    const auto images = torch::randn({8, 3, 8, 8});
    const auto labels = torch::arange(8).remainder(3);
    testing::expect_learns(*model, [&] {
      return torch::nn::functional::cross_entropy(model->forward(images), labels);
    });
  }
}

// Breaks if: a recomputation moves BatchNorm's statistics again.
TEST(ResNet, TrainsUnderPlacementsBitForBitAsWithout) {
  for (const bool bottleneck : {false, true}) {
    testing::expect_same_under_placements(
        [&] { return ResNet(small(bottleneck)); },
        [](const auto& forward) {
          const auto logits = forward(torch::randn({4, 3, 8, 8}));
          return torch::nn::functional::cross_entropy(logits, torch::arange(4).remainder(3));
        },
        {{"none", 0}, {"full", 4}, {"every:2", 1}, {"every:3", 1}, {"segments:3", 2}, {"sqrt", 1}});
  }
}

TEST(ResNet, NeedsAsManyBlocksAsSegments) {
  ResNet model(small(false));
  EXPECT_THROW(model->forward(torch::randn({1, 3, 8, 8}), Placement::segments_of(5)),
               InvalidArgument);
}

TEST(ResNet, ComputesInChannelsLast) {
  torch::manual_seed(3);
  ResNet model(small(false));
  model->eval();
  const auto images = torch::randn({2, 3, 8, 8});
  const auto expected = model->forward(images);
  const auto found = model->forward(images.contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(torch::allclose(found, expected, 1e-4, 1e-5));
}

}  // namespace
}  // namespace remat::models

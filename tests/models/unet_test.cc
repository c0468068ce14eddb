#include "models/unet.h"

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/error.h>

#include "tests/models/learning.h"
#include "tests/models/placements.h"

namespace remat::models {
namespace {

UNetConfig small(ImageNorm norm) { return {3, /*classes=*/5, /*width=*/8, /*depth=*/2, norm}; }

TEST(UNet, GivesLogitsOfEachPixelAlsoOfOddSizes) {
  UNet model(small(ImageNorm::kBatch));
  for (const std::int64_t size : {std::int64_t{16}, std::int64_t{13}}) {
    const auto logits = model->forward(torch::randn({2, 3, size, size + 4}));
    EXPECT_EQ(logits.sizes(), (std::vector<std::int64_t>{2, 5, size, size + 4}));
  }
}

TEST(UNet, LearnsWithEitherNorm) {
  for (const auto norm : {ImageNorm::kBatch, ImageNorm::kGroup}) {
    torch::manual_seed(3);
    UNet model(small(norm));
    const auto images = torch::randn({2, 3, 8, 8});
    const auto classes = (images.select(1, 0) > 0).to(torch::kLong);
    testing::expect_learns(*model, [&] {
      return torch::nn::functional::cross_entropy(model->forward(images), classes);
    });
  }
}

// Breaks if: a region takes other results of the way down than its levels read.
TEST(UNet, TrainsUnderPlacementsBitForBitAsWithout) {
  for (const auto norm : {ImageNorm::kBatch, ImageNorm::kGroup}) {
    auto config = small(norm);
    config.depth = 3;
    testing::expect_same_under_placements(
        [&] { return UNet(config); },
        [](const auto& forward) {
          const auto images = torch::randn({2, 3, 16, 12});
          const auto classes = (images.select(1, 0) > 0).to(torch::kLong);
          return torch::nn::functional::cross_entropy(forward(images), classes);
        },
        {{"none", 0},
         {"full", 7},
         {"every:2", 3},
         {"every:3", 2},
         {"every:6", 1},
         {"segments:2", 1},
         {"sqrt", 2}});
  }
}

TEST(UNet, NeedsAsManyLevelsAsSegments) {
  UNet model(small(ImageNorm::kGroup));
  EXPECT_THROW(model->forward(torch::randn({1, 3, 8, 8}), Placement::segments_of(6)),
               InvalidArgument);
}

// A pixel's class depends on that very pixel: only full resolution, carried by the topmost skip, has it.
TEST(UNet, SeesSinglePixelsThroughItsSkips) {
  torch::manual_seed(3);
  UNet model(small(ImageNorm::kGroup));
  const auto images = torch::randn({1, 3, 16, 16});
  auto other = images.clone();
  other.select(2, 5).select(2, 9).add_(3);
  const auto change = (model->forward(images) - model->forward(other)).abs().amax({0, 1});
  EXPECT_GT(change[5][9].item<double>(), 3 * change[5][13].item<double>());
}

}  // namespace
}  // namespace remat::models

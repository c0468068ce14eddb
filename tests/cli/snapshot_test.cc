#include "cli/snapshot.h"

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/memory.h>

namespace remat::cli {
namespace {

TEST(Snapshot, RestoresBitsInPlace) {
  const auto parameter = torch::randn({3, 4}).requires_grad_();
  const auto transposed = torch::randn({4, 3}).t();
  const auto mask = torch::ones({5}, torch::kBool);
  const std::vector<at::Tensor> tensors = {parameter, transposed, mask};
  const std::vector<at::Tensor> originals = {parameter.detach().clone(), transposed.clone(),
                                             mask.clone()};
  const Snapshot snapshot(tensors);
  {
    const torch::NoGradGuard no_grad;
    for (const auto& tensor : tensors) tensor.zero_();
  }
  snapshot.restore(tensors);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_TRUE(torch::equal(tensors[i], originals[i]));
  }
  EXPECT_EQ(snapshot, Snapshot(tensors));
}

TEST(Snapshot, ComparesBits) {
  const auto of = [](float value) { return Snapshot({torch::full({2}, value)}); };
  EXPECT_EQ(of(1.0F), of(1.0F));
  EXPECT_NE(of(1.0F), of(1.0000001F));
  EXPECT_NE(of(0.0F), of(-0.0F));
  EXPECT_EQ(of(NAN), of(NAN));
  EXPECT_NE(of(1.0F), Snapshot({torch::ones({3})}));
  EXPECT_NE(of(1.0F), Snapshot(std::vector<at::Tensor>()));
}

TEST(Snapshot, IsNotTracked) {
  const MemoryTracker tracker;
  const std::vector<at::Tensor> tensors = {torch::randn({1000}), torch::randn({10, 10}).t()};
  const auto live = tracker.live_bytes();
  const auto peak = tracker.peak_bytes();
  const Snapshot snapshot(tensors);
  snapshot.restore(tensors);
  EXPECT_EQ(tracker.live_bytes(), live);
  EXPECT_EQ(tracker.peak_bytes(), peak);
}

}  // namespace
}  // namespace remat::cli

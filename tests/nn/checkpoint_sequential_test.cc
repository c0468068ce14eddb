// checkpoint_sequential: torch.utils.checkpoint_sequential for C++.
#include <gmock/gmock.h>

#include <torch/torch.h>

#include <remat/remat.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::Calls;
using ::testing::HasSubstr;
using testing::Leaves;

/// A module of a Sequential that counts its calls.
struct CountedLinearImpl : torch::nn::Module {
  explicit CountedLinearImpl(Calls& calls) : calls_(calls) { register_module("linear", linear_); }
  at::Tensor forward(const at::Tensor& x) {
    calls_.count();
    return linear_(x).tanh();
  }

 private:
  Calls& calls_;
  torch::nn::Linear linear_{6, 6};
};
TORCH_MODULE(CountedLinear);

torch::nn::Sequential five_layers(Calls& calls) {
  torch::manual_seed(3);
  torch::nn::Sequential layers;
  for (int i = 0; i < 5; ++i) {
    layers->push_back(CountedLinear(calls));
  }
  layers->push_back(torch::nn::Dropout(0.4));
  return layers;
}

std::vector<at::Tensor> gradients_of(const torch::nn::Sequential& layers, const at::Tensor& y) {
  return torch::autograd::grad({y.square().sum()}, layers->parameters());
}

class SegmentCount : public ::testing::TestWithParam<std::pair<int, int>> {};

// Breaks if: the last segment is checkpointed too (count), the modules are copied (gradients).
TEST_P(SegmentCount, EqualsPlainAndRecomputesAllButTheLastSegment) {
  const auto [segments, recomputed] = GetParam();
  const at::Tensor x = testing::values({4, 6});
  Calls plain_calls, calls;
  torch::nn::Sequential plain = five_layers(plain_calls), layers = five_layers(calls);

  torch::manual_seed(5);
  const auto expected = gradients_of(plain, plain->forward(x));
  torch::manual_seed(5);
  const auto found = gradients_of(layers, checkpoint_sequential(layers, segments, x));

  ASSERT_EQ(expected.size(), found.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(testing::bit_identical(expected[i], found[i])) << i;
  }
  EXPECT_EQ(calls.forward, 5);
  EXPECT_EQ(calls.recomputed, recomputed);
}

// Six modules: the five counted ones and a dropout. Four segments are 2, 2, 1, 1.
INSTANTIATE_TEST_SUITE_P(CheckpointSequential, SegmentCount,
                         ::testing::Values(std::pair(1, 0), std::pair(2, 3), std::pair(3, 4),
                                           std::pair(4, 5), std::pair(6, 5)));

TEST(CheckpointSequential, HandsOptionsToTheRegions) {
  Calls calls;
  torch::nn::Sequential layers(torch::nn::Functional([&calls](at::Tensor x) {
                                 calls.count();
                                 return is_recomputing() ? x.sin() : x.sin().sin();
                               }),
                               torch::nn::Functional([](at::Tensor x) { return x.cos(); }));
  CheckpointOptions options;
  options.name = "my pipeline";
  const at::Tensor y = checkpoint_sequential(layers, 2, testing::leaf({3}), options);
  try {
    y.sum().backward();
    FAIL() << "the recomputation saves fewer tensors";
  } catch (const CheckpointError& error) {
    EXPECT_THAT(error.what(), HasSubstr("my pipeline"));
  }
}

TEST(CheckpointSequential, RefusesNoSegments) {
  Calls calls;
  EXPECT_THROW(checkpoint_sequential(five_layers(calls), 0, torch::ones({1, 6})), InvalidArgument);
  EXPECT_THROW(checkpoint_sequential(five_layers(calls), -1, torch::ones({1, 6})), InvalidArgument);
  EXPECT_EQ(calls.forward, 0);
}

TEST(CheckpointSequential, RefusesMoreSegmentsThanModules) {
  Calls calls;
  EXPECT_THROW(checkpoint_sequential(five_layers(calls), 7, torch::ones({1, 6})), InvalidArgument);
  EXPECT_EQ(calls.forward, 0);
}

TEST(CheckpointSequential, RefusesAnEmptySequential) {
  EXPECT_THROW(checkpoint_sequential(torch::nn::Sequential(), 1, torch::ones({2})),
               InvalidArgument);
}

TEST(CheckpointSequential, KeepsTheModulesAliveUntilBackward) {
  const at::Tensor x = testing::leaf({2, 3});
  at::Tensor y;
  {
    torch::nn::Sequential layers(torch::nn::Linear(3, 3), torch::nn::Tanh(),
                                 torch::nn::Linear(3, 3));
    y = checkpoint_sequential(layers, 2, x);
  }
  y.sum().backward();
  EXPECT_TRUE(x.grad().defined());
}

}  // namespace
}  // namespace remat

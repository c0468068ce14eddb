// Every model, with and without dropout, under every placement: the step is the plain step.
#include <torch/torch.h>

#include <remat/remat.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::expect_same_as_plain;
using testing::kLayers;
using testing::NamedModel;
using testing::RunLayers;

struct NamedPlacement {
  std::string name;
  Placement placement;
  int recomputed;  // calls of the seven layers
};

std::ostream& operator<<(std::ostream& out, const NamedPlacement& placed) {
  return out << placed.name;
}

std::vector<NamedPlacement> all_placements() {
  return {{"None", Placement::none(), 0},
          {"Full", Placement::full(), 7},
          {"EveryTwo", Placement::every(2), 6},
          {"TwoSegments", Placement::segments_of(2), 4},
          {"Sqrt", Placement::sqrt(), 5}};
}

RunLayers placed(const Placement& placement, const CheckpointOptions& options = {}) {
  return [placement, options](const std::vector<Layer>& layers, at::Tensor x) {
    return run_layers(layers, placement, std::move(x), options);
  };
}

class RunLayersEqualsPlain
    : public ::testing::TestWithParam<std::tuple<NamedModel, double, NamedPlacement>> {};

// Breaks if: a recomputation draws other random numbers, moves the outer stream, updates BatchNorm
// statistics again, runs once too often, or if a region keeps its activations or leaks.
TEST_P(RunLayersEqualsPlain, InGradientsBuffersRandomNumbersAndWithLessMemory) {
  const auto& [model, dropout, placed_as] = GetParam();
  const auto make = [&model = model, &dropout = dropout] { return model.make(dropout); };
  const auto [plain, checkpointed] =
      expect_same_as_plain(make, placed(placed_as.placement), placed_as.recomputed);
  EXPECT_EQ(plain.calls.forward, kLayers);
  if (placed_as.recomputed == 0) {
    EXPECT_EQ(checkpointed.live_after_forward, plain.live_after_forward);
  } else {
    EXPECT_LT(checkpointed.live_after_forward, plain.live_after_forward);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RunLayersEqualsPlain,
                         ::testing::Combine(::testing::ValuesIn(testing::all_models()),
                                            ::testing::Values(0.0, 0.3),
                                            ::testing::ValuesIn(all_placements())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name +
                                  (std::get<1>(test.param) > 0 ? "Dropout" : "") +
                                  std::get<2>(test.param).name;
                         });

class FullPlacement : public ::testing::TestWithParam<NamedModel> {};

// Breaks if: recomputed tensors outlive their use, or one region's stay while the next is recomputed.
TEST_P(FullPlacement, LowersThePeak) {
  const auto make = [] { return GetParam().make(0.3); };
  const auto [plain, checkpointed] = expect_same_as_plain(make, placed(Placement::full()), kLayers);
  EXPECT_LT(checkpointed.peak, plain.peak);
}

TEST_P(FullPlacement, EqualsPlainUnderTheStrictestChecks) {
  CheckpointOptions options;
  options.determinism = Determinism::kValues;
  options.debug = true;
  const auto make = [] { return GetParam().make(0.3); };
  expect_same_as_plain(make, placed(Placement::full(), options), kLayers);
}

TEST_P(FullPlacement, EqualsPlainWithoutEarlyStop) {
  CheckpointOptions options;
  options.early_stop = false;
  const auto make = [] { return GetParam().make(0.3); };
  expect_same_as_plain(make, placed(Placement::full(), options), kLayers);
}

INSTANTIATE_TEST_SUITE_P(Models, FullPlacement, ::testing::ValuesIn(testing::all_models()),
                         [](const auto& test) { return test.param.name; });

TEST(RunLayers, RefusesAnEmptyChain) {
  EXPECT_THROW(run_layers({}, Placement::full(), torch::ones({2})), InvalidArgument);
}

TEST(RunLayers, RefusesMoreSegmentsThanLayers) {
  const std::vector<Layer> layers(2, [](const at::Tensor& x) { return x.sin(); });
  EXPECT_THROW(run_layers(layers, Placement::segments_of(3), torch::ones({2})), InvalidArgument);
}

TEST(RunLayers, CopiesTheLayersIntoTheRegions) {
  const at::Tensor x = testing::leaf({5});
  at::Tensor y;
  {
    const std::vector<Layer> layers(
        3, [w = torch::full({5}, 2.0)](const at::Tensor& t) { return (t * w).sin(); });
    y = run_layers(layers, Placement::full(), x);
  }
  y.sum().backward();
  EXPECT_TRUE(x.grad().defined());
}

}  // namespace
}  // namespace remat

// Every model on a CUDA device, under placements that differ: the step is the plain step.
#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include <torch/torch.h>

#include <remat/remat.h>

#include "tests/testing/cuda.h"

namespace remat {
namespace {

using testing::Calls;
using testing::expect_same;
using testing::kFirstCuda;
using testing::kLayers;
using testing::Model;
using testing::NamedModel;
using testing::RunLayers;
using testing::Trace;

Trace train_step(const NamedModel& named, double dropout, const RunLayers& run, Calls& calls) {
  torch::manual_seed(1);
  Model model = named.make(dropout);
  model.modules->to(kFirstCuda);
  torch::manual_seed(2);
  const auto there = at::TensorOptions(kFirstCuda);
  Trace trace;
  at::Tensor output = run(testing::counted(model.layers, calls), model.input.to(kFirstCuda));
  trace.emplace_back("output", output.detach());
  trace.emplace_back("draw after forward", torch::rand({4}, there));
  output.square().mean().backward();
  trace.emplace_back("draw after backward", torch::rand({4}, there));
  for (const auto& parameter : model.modules->named_parameters()) {
    trace.emplace_back("gradient of " + parameter.key(), parameter.value().grad());
  }
  for (const auto& buffer : model.modules->named_buffers()) {
    trace.emplace_back("buffer " + buffer.key(), buffer.value());
  }
  return trace;
}

class CudaModels : public testing::OnCuda<
                       ::testing::TestWithParam<std::tuple<NamedModel, double, std::string>>> {};

TEST_P(CudaModels, TrainAsPlainDoes) {
  const auto& [model, dropout, policy] = GetParam();
  if (model.name == "Lstm" && dropout > 0) {
    GTEST_SKIP() << "cuDNN's dropout has a state that no seed sets: see Cuda.LstmWithDropout";
  }
  const Placement placement = Placement::parse(policy);
  Calls plain, checkpointed;
  const Trace expected = train_step(model, dropout, testing::run_plainly, plain);
  const auto placed = [&](const auto& layers, at::Tensor x) {
    return run_layers(layers, placement, std::move(x));
  };
  expect_same(expected, train_step(model, dropout, placed, checkpointed));
  EXPECT_EQ(plain.forward, kLayers);
  EXPECT_EQ(checkpointed.forward, kLayers);
  EXPECT_EQ(plain.recomputed, 0);
  EXPECT_EQ(checkpointed.recomputed, policy == "full" ? 7 : policy == "every:2" ? 6 : 5);
}

INSTANTIATE_TEST_SUITE_P(All, CudaModels,
                         ::testing::Combine(::testing::ValuesIn(testing::all_models()),
                                            ::testing::Values(0.0, 0.3),
                                            ::testing::Values("full", "every:2", "sqrt")),
                         [](const auto& test) {
                           std::string policy = std::get<2>(test.param);
                           policy.erase(std::remove(policy.begin(), policy.end(), ':'),
                                        policy.end());
                           return std::get<0>(test.param).name +
                                  (std::get<1>(test.param) > 0 ? "Dropout_" : "_") + policy;
                         });

}  // namespace
}  // namespace remat

// Buffers that a region updates: each forward updates them once, a recomputation sees them as the
// forward did and leaves them alone.
#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "tests/testing/recomputations.h"
#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::bit_identical;
using testing::expect_same;
using testing::leaf;
using testing::Recomputations;
using testing::Trace;
using testing::values;

using Batches = std::vector<at::Tensor>;

const Batches kBatches = {values({6, 3}, 1), values({6, 3}, 2), values({6, 3}, 3)};

/// Trains a fresh module with `train`, from one seed; traces its buffers and gradients.
template <class MakeModule, class Train>
Trace trace_of(const MakeModule& make, const Train& train) {
  torch::manual_seed(4);
  auto module = make();
  train(module);
  Trace trace;
  for (const auto& buffer : module->named_buffers()) {
    trace.emplace_back(buffer.key(), buffer.value());
  }
  for (const auto& parameter : module->named_parameters()) {
    trace.emplace_back("gradient of " + parameter.key(), parameter.value().grad());
  }
  return trace;
}

torch::nn::BatchNorm1d make_batch_norm() { return torch::nn::BatchNorm1d(3); }

/// Calls the module as it is, or as a region.
struct Plainly {
  template <class Module>
  at::Tensor operator()(Module& module, const at::Tensor& x) const {
    return module->forward(x);
  }
};
struct InARegion {
  template <class Module>
  at::Tensor operator()(Module& module, const at::Tensor& x) const {
    return checkpoint(module, x);
  }
};

/// Expects `train(module, call)` to leave the same behind whichever way `call` calls the module, and the
/// regions to be recomputed so many times.
template <class MakeModule, class Train>
void expect_same_training(const MakeModule& make, const Train& train, int recomputed) {
  const Trace plain = trace_of(make, [&](auto& module) { train(module, Plainly()); });
  const Recomputations recomputations;
  expect_same(plain, trace_of(make, [&](auto& module) { train(module, InARegion()); }));
  EXPECT_EQ(recomputations.count(), recomputed);
}

// Breaks if: a recomputation updates the statistics (num_batches_tracked 2).
TEST(Buffers, BatchNormStatisticsAreUpdatedOnce) {
  torch::nn::BatchNorm1d norm = make_batch_norm();
  checkpoint(norm, kBatches[0]).square().sum().backward();
  EXPECT_EQ(norm->num_batches_tracked.item<std::int64_t>(), 1);
  EXPECT_FALSE(torch::equal(norm->running_mean, torch::zeros({3})));
}

TEST(Buffers, BatchNormOverSeveralSteps) {
  expect_same_training(
      make_batch_norm,
      [](auto& norm, const auto& call) {
        for (const at::Tensor& batch : kBatches) {
          call(norm, batch).sin().sum().backward();
        }
      },
      3);
}

// Breaks if: a recomputation sees later statistics, or its version check takes them for a change.
TEST(Buffers, BatchNormUnderGradientAccumulationWithBackwardsLast) {
  expect_same_training(
      make_batch_norm,
      [](auto& norm, const auto& call) {
        std::vector<at::Tensor> outputs;
        for (const at::Tensor& batch : kBatches) {
          outputs.push_back(call(norm, batch));
        }
        for (const at::Tensor& y : outputs) {
          y.sin().sum().backward();
        }
      },
      3);
}

TEST(Buffers, BatchNormSharedByTwoRegions) {
  expect_same_training(
      make_batch_norm,
      [](auto& norm, const auto& call) {
        call(norm, call(norm, kBatches[0]).sin()).sin().sum().backward();
      },
      2);
}

// Every micro-batch goes through the one module twice; the backward passes come last.
TEST(Buffers, BatchNormSharedByTwoRegionsUnderGradientAccumulation) {
  expect_same_training(
      make_batch_norm,
      [](auto& norm, const auto& call) {
        std::vector<at::Tensor> outputs;
        for (const at::Tensor& batch : kBatches) {
          outputs.push_back(call(norm, call(norm, batch).sin()));
        }
        for (const at::Tensor& y : outputs) {
          y.sin().sum().backward();
        }
      },
      6);
}

// The cumulative average reads num_batches_tracked as a number.
TEST(Buffers, BatchNormWithACumulativeAverage) {
  const auto make = [] {
    return torch::nn::BatchNorm1d(torch::nn::BatchNormOptions(3).momentum(c10::nullopt));
  };
  expect_same_training(
      make,
      [](auto& norm, const auto& call) {
        for (const at::Tensor& batch : kBatches) {
          call(norm, batch).sin().sum().backward();
        }
      },
      3);
}

TEST(Buffers, BatchNormInEvaluation) {
  expect_same_training(
      make_batch_norm,
      [](auto& norm, const auto& call) {
        norm->forward(kBatches[1]);
        norm->eval();
        call(norm, kBatches[0]).sin().sum().backward();
      },
      1);
}

TEST(Buffers, BatchNormSwitchedToEvaluationBeforeBackwardIsAnError) {
  torch::nn::BatchNorm1d norm = make_batch_norm();
  const auto parameters = norm->parameters();
  const at::Tensor y = checkpoint(norm, kBatches[0]);
  norm->eval();
  EXPECT_THROW(torch::autograd::grad({y.sin().sum()}, parameters), CheckpointError);
}

TEST(Buffers, BatchNormInNestedRegions) {
  expect_same_training(
      make_batch_norm,
      [](auto& norm, const auto& call) {
        const auto inner = [&](const at::Tensor& x) { return call(norm, x).sin(); };
        at::Tensor y;
        if (std::is_same_v<std::decay_t<decltype(call)>, InARegion>) {
          y = checkpoint([&](const at::Tensor& x) { return inner(inner(x)).sin(); }, kBatches[0]);
        } else {
          y = inner(inner(kBatches[0])).sin();
        }
        y.sum().backward();
      },
      3);
}

TEST(Buffers, BatchNormInTwoPassesOverARetainedGraph) {
  torch::nn::BatchNorm1d norm = make_batch_norm();
  const at::Tensor y = checkpoint(norm, kBatches[0]).sin();
  const auto first =
      torch::autograd::grad({y.sum()}, norm->parameters(), {}, /*retain_graph=*/true);
  const auto second = torch::autograd::grad({y.sum()}, norm->parameters());
  EXPECT_TRUE(bit_identical(first[0], second[0]));
  EXPECT_EQ(norm->num_batches_tracked.item<std::int64_t>(), 1);
}

// ---- buffers that modules update themselves ----------------------------------------------------------

/// Normalises by a moving average that it updates in place, before or after it uses it.
struct MovingAverageImpl : torch::nn::Module {
  explicit MovingAverageImpl(bool first) : update_first(first) {
    average = register_buffer("average", torch::ones({3}));
    scale = register_parameter("scale", torch::ones({3}));
  }
  void update(const at::Tensor& x) {
    const at::NoGradGuard no_grad;
    average.mul_(0.9).add_(x.abs().mean(0), 0.1);
  }
  at::Tensor forward(const at::Tensor& x) {
    if (update_first) {
      update(x);
    }
    const at::Tensor y = (x * scale / average.clone()).sin();
    if (!update_first) {
      update(y);
    }
    return y.sin();
  }
  bool update_first;
  at::Tensor average, scale;
};
TORCH_MODULE(MovingAverage);

class MovingAverages : public ::testing::TestWithParam<bool> {};

// Breaks if: a recomputation reads the average as it is after the forward, or moves it again.
TEST_P(MovingAverages, AreUpdatedOnceAndReadAsInForward) {
  expect_same_training([] { return MovingAverage(GetParam()); },
                       [](auto& module, const auto& call) {
                         std::vector<at::Tensor> outputs;
                         for (const at::Tensor& batch : kBatches) {
                           outputs.push_back(call(module, batch));
                         }
                         for (const at::Tensor& y : outputs) {
                           y.sum().backward();
                         }
                       },
                       3);
}

TEST_P(MovingAverages, StayOutOfTheWayOfValueChecks) {
  const auto make = [] { return MovingAverage(GetParam()); };
  CheckpointOptions options;
  options.determinism = Determinism::kValues;
  expect_same(
      trace_of(make, [](auto& m) { m->forward(kBatches[0]).sum().backward(); }),
      trace_of(make, [&](auto& m) { checkpoint(options, m, kBatches[0]).sum().backward(); }));
}

INSTANTIATE_TEST_SUITE_P(UpdateFirst, MovingAverages, ::testing::Bool());

/// One power iteration for each forward, as spectral norm does; the estimates feed the gradient.
struct SpectralImpl : torch::nn::Module {
  SpectralImpl() {
    weight = register_parameter("weight", torch::randn({3, 3}));
    u = register_buffer("u", torch::ones({3}));
    v = register_buffer("v", torch::ones({3}));
  }
  at::Tensor forward(const at::Tensor& x) {
    {
      const at::NoGradGuard no_grad;
      v.copy_(torch::nn::functional::normalize(
          weight.t().mv(u), torch::nn::functional::NormalizeFuncOptions().dim(0)));
      u.copy_(torch::nn::functional::normalize(
          weight.mv(v), torch::nn::functional::NormalizeFuncOptions().dim(0)));
    }
    const at::Tensor sigma = u.clone().dot(weight.mv(v.clone()));
    return torch::linear(x, weight / sigma).sin();
  }
  at::Tensor weight, u, v;
};
TORCH_MODULE(Spectral);

TEST(Buffers, PowerIterationsOfSpectralNorm) {
  expect_same_training([] { return Spectral(); },
                       [](auto& module, const auto& call) {
                         const at::Tensor first = call(module, kBatches[0]);
                         const at::Tensor second = call(module, kBatches[1]);
                         first.sum().backward();
                         second.sum().backward();
                       },
                       2);
}

// Breaks if: only what the forward wrote is protected from the recomputation.
TEST(Buffers, WrittenByTheRecomputationOnlyStayAsTheyAre) {
  const at::Tensor counter = torch::zeros({}, at::kLong);
  const at::Tensor y = checkpoint(
      [counter](const at::Tensor& t) mutable {
        if (is_recomputing()) {
          counter.add_(1);
        }
        return t.sin().sin();
      },
      leaf({3}));
  y.sum().backward();
  EXPECT_EQ(counter.item<std::int64_t>(), 0);
}

TEST(Buffers, ACounterOfCallsCountsForwardsOnly) {
  const at::Tensor counter = torch::zeros({}, at::kLong);
  const at::Tensor x = leaf({3});
  const at::Tensor y = checkpoint(
      [counter](const at::Tensor& t) mutable {
        counter.add_(1);
        return (t * counter).sin().sin();
      },
      x);
  y.sum().backward();
  EXPECT_EQ(counter.item<std::int64_t>(), 1);
  EXPECT_TRUE(bit_identical(x.grad(), torch::autograd::grad({x.sin().sin().sum()}, {x})[0]));
}

}  // namespace
}  // namespace remat

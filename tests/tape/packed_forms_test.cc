// Values that a plan keeps packed: what is saved by it, and that the bits stay the same.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/memory.h>
#include <remat/simulator.h>

namespace remat {
namespace {

constexpr std::int64_t kEffort = 200'000;
constexpr int kSteps = 5;

/// A step's loss; the number is that of the step.
using Loss = std::function<at::Tensor(const std::vector<at::Tensor>& weights, int step)>;

std::vector<at::Tensor> weights_of(int count, at::IntArrayRef sizes) {
  use_huge_page_allocator();  // before the first tensor: all are counted
  torch::manual_seed(1);
  std::vector<at::Tensor> weights;
  for (int i = 0; i < count; ++i) weights.push_back(torch::randn(sizes).mul_(0.1).requires_grad_());
  return weights;
}

/// The gradients of kSteps steps, in memory that no budget sees.
struct Training {
  std::vector<at::Tensor> weights;
  Loss loss;
  std::vector<std::vector<char>> bits;

  void step(int number) {
    loss(weights, number).backward();
    for (at::Tensor& weight : weights) {
      bits.emplace_back(weight.grad().nbytes());
      std::memcpy(bits.back().data(), weight.grad().data_ptr(), bits.back().size());
      weight.mutable_grad() = at::Tensor();
    }
  }
};

/// What training within a share of the activations did, step by step.
struct Outcome {
  std::vector<BudgetReport> reports;
  bool same_bits = false;
  OpGraph graph;
};

Outcome train_within(double share, const Training& fresh) {
  Training plain = fresh;
  torch::manual_seed(2);
  for (int i = 0; i < kSteps; ++i) plain.step(i);
  const Bytes fixed = *live_cpu_bytes();
  MemoryTracker tracker;
  plain.step(0);
  plain.bits.resize(kSteps * plain.weights.size());
  const auto memory =
      fixed +
      Bytes(static_cast<std::int64_t>(share * static_cast<double>(tracker.peak_bytes().count())));

  Outcome outcome;
  Training training = fresh;
  Budget budget({memory, kEffort});
  torch::manual_seed(2);
  for (int i = 0; i < kSteps; ++i) {
    {
      Step step(budget);
      training.step(i);
    }
    outcome.reports.push_back(budget.report());
  }
  outcome.same_bits = training.bits == plain.bits;
  outcome.graph = *budget.graph();
  return outcome;
}

at::Tensor with_dropouts(const std::vector<at::Tensor>& weights, int /*step*/) {
  at::Tensor x = torch::ones({512, 64});
  for (const at::Tensor& weight : weights) x = torch::dropout(x.mm(weight).tanh(), 0.1, true);
  return x.square().mean();
}

/// Numbers from 0 to `most`, drawn by an operator that is slow by far: packing is cheaper, however slow that is,
/// as under a sanitizer.
at::Tensor slow_noise(double most) {
  return torch::binomial(torch::full({}, most).expand({512, 64}),
                         torch::full({}, 0.9).expand({512, 64}));
}

at::Tensor with_slow_noise(const std::vector<at::Tensor>& weights, int /*step*/) {
  at::Tensor x = torch::ones({512, 64});
  for (const at::Tensor& weight : weights) x = x.mm(weight).tanh() * slow_noise(1);
  return x.square().mean();
}

std::int64_t count_named(const OpGraph& graph, const std::string& name) {
  return std::count_if(graph.ops.begin(), graph.ops.end(),
                       [&](const GraphOp& op) { return op.name == name; });
}

// Breaks if: a dropout's noise is drawn again, or kept whole, where a bit for each element does.
TEST(PackedForms, NoiseIsKeptInABitForEachElement) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP()
      << "packing, which is instrumented, takes longer than LibTorch's dropout, which is not";
#endif
  const Outcome outcome = train_within(0.5, {weights_of(6, {64, 64}), with_dropouts, {}});
  EXPECT_TRUE(outcome.same_bits);
  const BudgetReport& last = outcome.reports.back();
  ASSERT_TRUE(last.planned);
  EXPECT_GT(last.packs, 0);
  EXPECT_EQ(last.unpacks, last.packs);
  EXPECT_EQ(last.evictions, 0) << "the plan fits";
  EXPECT_LE(last.tracked_peak, last.memory);
  EXPECT_NEAR(static_cast<double>(last.predicted_peak.count()),
              static_cast<double>(last.tracked_peak.count()),
              static_cast<double>(last.memory.count()) / 50);
  for (const BudgetReport& report : outcome.reports) EXPECT_LE(report.tracked_peak, report.memory);
}

// Breaks if: the graph charges the plain step for packing, or a form is not a value of it.
TEST(PackedForms, ThePlainStepCostsWhatWasMeasured) {
  const Outcome outcome = train_within(0.5, {weights_of(6, {64, 64}), with_slow_noise, {}});
  EXPECT_GT(count_named(outcome.graph, "remat::unpack"), 0);
  for (std::size_t i = 0; i < outcome.graph.ops.size(); ++i) {
    const GraphOp& op = outcome.graph.ops[i];
    EXPECT_EQ(static_cast<std::size_t>(op.id), i);
    EXPECT_GE(op.time.count(), 0);
    if (op.name != "remat::unpack") continue;
    ASSERT_EQ(op.reads.size(), 1u);
    const Bytes packed = outcome.graph.values[static_cast<std::size_t>(op.reads[0])].bytes;
    const Bytes whole = outcome.graph.values[static_cast<std::size_t>(op.writes[0])].bytes;
    EXPECT_EQ(packed, whole / 32);
    EXPECT_EQ(outcome.graph.ops[i - 1].writes, op.reads);
  }
}

at::Tensor with_pools(const std::vector<at::Tensor>& weights, int /*step*/) {
  at::Tensor x = torch::linspace(-1, 1, 8 * 4 * 64 * 64).view({8, 4, 64, 64}).sin();
  for (const at::Tensor& weight : weights) {
    x = std::get<0>(
        torch::max_pool2d_with_indices(torch::conv2d(x, weight, {}, 1, 1).tanh(), 3, 1, 1));
  }
  return x.square().mean();
}

// Breaks if: indices of 64 bits stay that wide.
TEST(PackedForms, IndicesAreKeptInFewerBits) {
  const Outcome outcome = train_within(0.7, {weights_of(6, {4, 4, 3, 3}), with_pools, {}});
  EXPECT_TRUE(outcome.same_bits);
  ASSERT_TRUE(outcome.reports.back().planned);
  EXPECT_GT(outcome.reports.back().packs, 0);
  EXPECT_EQ(outcome.reports.back().unpacks, outcome.reports.back().packs);
}

/// Counts of few sizes in the first three steps, of many in those after.
at::Tensor with_counts(const std::vector<at::Tensor>& weights, int step) {
  at::Tensor x = torch::linspace(-1, 1, 512 * 64).view({512, 64}).sin();
  for (const at::Tensor& weight : weights) x = x.mm(weight) * slow_noise(step < 3 ? 1 : 1'000);
  return x.square().mean();
}

// Breaks if: what had a packed form when it was planned is lost where it has none.
TEST(PackedForms, WhatHasNoneAfterAllIsMadeAgain) {
  const Outcome outcome = train_within(0.6, {weights_of(6, {64, 64}), with_counts, {}});
  EXPECT_TRUE(outcome.same_bits);
  ASSERT_TRUE(outcome.reports[2].planned);
  EXPECT_GT(outcome.reports[2].packs, 0);
  EXPECT_EQ(outcome.reports[4].packs, 0);
  EXPECT_GT(outcome.reports[4].replays, outcome.reports[2].replays);
}

}  // namespace
}  // namespace remat

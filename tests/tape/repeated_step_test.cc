// Steps like the one before, and steps that depart from it. (Rule T22)
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/memory.h>

#include "tape/records.h"

namespace remat {
namespace {

constexpr std::int64_t kEffort = 100'000;
constexpr int kLayers = 6;
constexpr int kOps = 3 * kLayers + 3;  // mm, mul, tanh; pow, mean; the gradient to begin with

std::vector<char> bits_of(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  std::vector<char> bits(tensor.nbytes());
  std::memcpy(bits.data(), tensor.data_ptr(), bits.size());
  return bits;
}

/// What one layer of a step may do otherwise than the others.
struct Departure {
  const char* name;
  std::function<at::Tensor(const at::Tensor& x, const std::vector<at::Tensor>& weights, int layer)>
      layer;
};

at::Tensor as_always(const at::Tensor& x, const std::vector<at::Tensor>& weights, int layer) {
  return x.mm(weights[layer].t()).mul(0.5).tanh();
}

std::vector<Departure> departures() {
  using Weights = const std::vector<at::Tensor>&;
  const auto other = [](int layer) { return (layer + 1) % kLayers; };
  return {
      {"another constant",
       [](const auto& x, Weights w, int i) { return x.mm(w[i].t()).mul(0.75).tanh(); }},
      {"another operand",
       [=](const auto& x, Weights w, int i) { return x.mm(w[other(i)].t()).mul(0.5).tanh(); }},
      {"another view", [](const auto& x, Weights w, int i) { return x.mm(w[i]).mul(0.5).tanh(); }},
      {"another operator",
       [](const auto& x, Weights w, int i) { return x.mm(w[i].t()).mul(0.5).sigmoid(); }},
      {"one more",
       [](const auto& x, Weights w, int i) { return x.mm(w[i].t()).mul(0.5).exp().tanh(); }},
      {"one less", [](const auto& x, Weights w, int i) { return x.mm(w[i].t()).tanh(); }},
      {"in place", [](const auto& x, Weights w, int i) { return x.mm(w[i].t()).mul_(0.5).tanh(); }},
      {"the tensor itself",
       [](const auto& x, Weights w, int i) { return x.mm(w[i].t()).mul(x).tanh(); }},
      {"random numbers",
       [](const auto& x, Weights w, int i) {
         return at::dropout(x.mm(w[i].t()).mul(0.5).tanh(), 0.25, true);
       }},
  };
}

struct Chain {
  Chain() {
    torch::manual_seed(3);
    for (int i = 0; i < kLayers; ++i) weights.push_back(torch::randn({32, 32}).requires_grad_());
    input = torch::randn({256, 32});
  }

  /// The bits of all gradients. `departure` takes the place of layer `at`.
  std::vector<std::vector<char>> step(const Departure* departure = nullptr, int at = 0) {
    at::Tensor x = input;
    for (int i = 0; i < kLayers; ++i) {
      x = departure != nullptr && i == at ? departure->layer(x, weights, i)
                                          : as_always(x, weights, i);
    }
    x.square().mean().backward();
    std::vector<std::vector<char>> bits;
    for (at::Tensor& weight : weights) {
      bits.push_back(bits_of(weight.grad()));
      weight.mutable_grad() = at::Tensor();
    }
    return bits;
  }

  std::vector<at::Tensor> weights;
  at::Tensor input;
};

Bytes budget_of(double share) {
  Chain chain;
  chain.step();
  const Bytes fixed = *live_cpu_bytes();
  MemoryTracker tracker;
  chain.step();
  return fixed + Bytes(static_cast<std::int64_t>(share * tracker.peak_bytes().count()));
}

class RepeatedStep : public ::testing::Test {
 protected:
  RepeatedStep() { use_huge_page_allocator(); }
};

// Breaks if: a known step is written down again.
TEST_F(RepeatedStep, IsComparedNotWritten) {
  Chain chain;
  Budget budget({budget_of(0.7), kEffort});
  for (int i = 0; i < 6; ++i) {
    const Step step(budget);
    chain.step();
  }
  const BudgetReport report = budget.report();
  ASSERT_TRUE(report.planned);
  EXPECT_GT(report.replays, 0);
  EXPECT_EQ(report.verified, kOps);
  EXPECT_EQ(report.recorded, 0);
}

// Breaks if: the first step has been compared with nothing, or one that departs is taken for the known one.
TEST_F(RepeatedStep, IsWrittenFromWhereItDeparts) {
  Chain chain;
  Budget budget({budget_of(4), kEffort});
  const auto recorded_of = [&](const Departure* departure, int at) {
    {
      const Step step(budget);
      chain.step(departure, at);
    }
    return budget.report().recorded;
  };
  EXPECT_EQ(recorded_of(nullptr, 0), kOps);
  EXPECT_EQ(recorded_of(nullptr, 0), 0);
  const Departure another_operator = departures()[3];
  EXPECT_EQ(recorded_of(&another_operator, 2), 1) << "what follows reads the same values";
  const Departure one_less = departures()[5];
  EXPECT_EQ(recorded_of(&one_less, 4), 1 + 3 + 3 + 1) << "all after it, and what departed before";
}

// Breaks if: what the step before wrote is taken for what this one does.
TEST_F(RepeatedStep, MayDepartAnywhere) {
  const Bytes memory = budget_of(0.7);
  for (const Departure& departure : departures()) {
    for (int at = 0; at < kLayers; ++at) {
      SCOPED_TRACE(std::string(departure.name) + " in layer " + std::to_string(at));
      Chain chain;
      torch::manual_seed(7);
      const auto usual = chain.step();
      const auto other = chain.step(&departure, at);
      Budget budget({memory, kEffort});
      std::int64_t made_again = 0;
      const auto within = [&](const Departure* departs) {
        if (departs != nullptr) torch::manual_seed(7);
        std::vector<std::vector<char>> bits;
        {
          const Step step(budget);
          bits = chain.step(departs, at);
        }
        made_again += budget.report().replays;
        return bits;
      };
      for (int i = 0; i < 4; ++i) EXPECT_EQ(within(nullptr), usual) << i;
      for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(within(&departure), other) << i;
        EXPECT_EQ(within(nullptr), usual) << i;
      }
      EXPECT_GT(made_again, 0);
    }
  }
}

}  // namespace

namespace tape {
namespace {

torch_bridge::StorageView row_of(const std::vector<std::int64_t>& sizes,
                                 const std::vector<std::int64_t>& strides) {
  return {sizes, strides, 0, c10::kFloat, false, false};
}

// Breaks if: a view that the step before had in its place is taken for one that is another.
TEST(RecordOfARepeatedStep, HasTheViewsOfItsOwnStep) {
  const at::Tensor tensor = torch::ones({64});
  const std::vector<std::int64_t> narrow = {4}, wide = {8}, one = {1}, square = {2, 2},
                                  steps = {2, 1};
  StepRecord record;
  const auto signature_of = [&](const torch_bridge::StorageView& view) {
    const SlotIndex slot = record.find_or_add(tensor.storage()).first;
    const ViewIndex index = record.add_view(slot, view);
    EXPECT_EQ(record.view(index).sizes, view.sizes);
    EXPECT_EQ(record.view(index).strides, view.strides);
    return record.signature_of(index);
  };
  const auto first = signature_of(row_of(narrow, one));
  const auto second = signature_of(row_of(wide, one));
  record.clear();
  EXPECT_EQ(signature_of(row_of(narrow, one)), first);
  EXPECT_EQ(signature_of(row_of(wide, one)), second);
  record.clear();
  EXPECT_EQ(signature_of(row_of(square, steps)), signature_of(row_of(square, steps)));
  EXPECT_EQ(signature_of(row_of(wide, one)), second) << "other numbers stand where its own would";
  record.clear();
  EXPECT_EQ(signature_of(row_of(wide, one)), second);
  EXPECT_EQ(signature_of(row_of(narrow, one)), first);
}

// Breaks if: what stood in the step before that one is taken for what stood in the last.
TEST(StandingArena, KnowsWhatTheLastStepHad) {
  StandingArena<std::int32_t, int> arena;
  for (const int element : {1, 2, 3}) arena.add(element);
  arena.clear();
  ASSERT_NE(arena.ahead(), nullptr);
  EXPECT_EQ(*arena.ahead(), 1);
  EXPECT_FALSE(arena.has_ahead(4));
  EXPECT_EQ(arena.keep(), 0);
  EXPECT_EQ(arena.add(5), 1);
  EXPECT_EQ(arena[0], 1);
  EXPECT_EQ(arena[1], 5);
  EXPECT_EQ(arena.size(), 2);
  arena.clear();
  ASSERT_TRUE(arena.has_ahead(2));
  EXPECT_EQ(arena.keep(2), 0);
  EXPECT_EQ(arena.ahead(), nullptr) << "the 3 is of a step before the last";
  EXPECT_EQ(std::vector<int>(arena.begin(), arena.end()), (std::vector<int>{1, 5}));
}

}  // namespace
}  // namespace tape
}  // namespace remat

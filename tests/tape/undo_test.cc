// A step that does not fit leaves everything as it was. (Rules T15 to T18)
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/checkpoint.h>
#include <remat/memory.h>

namespace remat {
namespace {

constexpr std::int64_t kEffort = 100'000;
constexpr std::int64_t kBatch = 256;

at::Tensor own_generator_state(const at::Generator& generator) { return generator.get_state(); }

/// All that a step may change outside of itself, copied. Undefined tensors are undefined.
using State = std::vector<at::Tensor>;

at::Tensor copied(const at::Tensor& tensor) {
  const at::NoGradGuard no_grad;
  return tensor.defined() ? tensor.detach().clone() : at::Tensor();
}

bool same(const at::Tensor& a, const at::Tensor& b) {
  if (a.defined() != b.defined()) return false;
  return !a.defined() || (a.sizes() == b.sizes() && torch::equal(a, b));
}

/// A network with all that an undone step has to put back: BatchNorm, dropout, noise of its own generator, an
/// average that the forward keeps without gradients.
struct Net {
  torch::nn::Sequential layers;
  at::Tensor average = torch::ones({64});
  at::Generator own = at::detail::createCPUGenerator(7);

  Net() {
    torch::manual_seed(1);
    for (int i = 0; i < 6; ++i) {
      layers->push_back(torch::nn::Linear(64, 64));
      layers->push_back(torch::nn::BatchNorm1d(64));
      layers->push_back(torch::nn::Tanh());
      layers->push_back(torch::nn::Dropout(0.1));
    }
  }

  at::Tensor loss(const at::Tensor& x) {
    const at::Tensor noise = torch::empty_like(x).normal_(0, 0.1, own);
    const at::Tensor y = layers->forward(x + noise);
    {
      const at::NoGradGuard no_grad;
      average.mul_(0.9).add_(y.mean(0), 0.1);
    }
    return (y - average).square().mean();
  }

  std::vector<at::Tensor> parameters() const { return layers->parameters(); }

  State state() const {
    State all;
    for (const at::Tensor& parameter : parameters()) {
      all.push_back(copied(parameter));
      all.push_back(copied(parameter.grad()));
    }
    for (const at::Tensor& buffer : layers->buffers()) all.push_back(copied(buffer));
    all.push_back(copied(average));
    all.push_back(own_generator_state(own));
    all.push_back(own_generator_state(at::detail::getDefaultCPUGenerator()));
    return all;
  }
};

void expect_same(const State& expected, const State& found, const std::string& where) {
  ASSERT_EQ(expected.size(), found.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(same(expected[i], found[i])) << where << ", tensor " << i;
  }
}

/// What gradients the network has when the step begins.
enum class Gradients { kNone, kZero, kAccumulated };

void prepare(Net& net, Gradients gradients) {
  if (gradients == Gradients::kNone) return;
  net.loss(torch::randn({8, 64})).backward();
  if (gradients == Gradients::kAccumulated) return;
  for (const at::Tensor& parameter : net.parameters()) parameter.mutable_grad().zero_();
}

Bytes live() { return *live_cpu_bytes(); }

/// What the plain step takes above what is there, at most.
std::int64_t plain_growth() {
  Net net;
  prepare(net, Gradients::kAccumulated);
  const at::Tensor x = torch::randn({kBatch, 64});
  MemoryTracker tracker;
  net.loss(x).backward();
  return tracker.peak_bytes().count();
}

struct Outcome {
  bool failed = false;
  bool in_backward = false;
};

/// Forward and backward in a Step, with so much above what is there.
Outcome try_step(Net& net, const at::Tensor& x, std::int64_t above) {
  Budget budget({live() + Bytes(above), kEffort});
  try {
    Step step(budget);
    net.loss(x).backward();
    return {};
  } catch (const BudgetError& error) {
    return {true, std::string(error.what()).find("backward") != std::string::npos};
  }
}

class UndoTest : public ::testing::TestWithParam<Gradients> {
 protected:
  UndoTest() { use_huge_page_allocator(); }
};

// Breaks if: any of parameters, gradients (or whether there are any), buffers, generators is not put back, or
// memory stays in use; wherever in the step memory runs out.
TEST_P(UndoTest, PutsEverythingBackWhereverMemoryRunsOut) {
  const std::int64_t growth = plain_growth();
  Net net;
  prepare(net, GetParam());
  const at::Tensor x = torch::randn({kBatch, 64});
  const State before = net.state();
  const Bytes live_before = live();
  int forward = 0, backward = 0;
  for (double share = 0.02; share < 1; share += 0.02) {
    const auto outcome =
        try_step(net, x, static_cast<std::int64_t>(share * static_cast<double>(growth)));
    if (!outcome.failed) break;
    ++(outcome.in_backward ? backward : forward);
    const std::string where = "share " + std::to_string(share);
    EXPECT_EQ(live(), live_before) << where;
    expect_same(before, net.state(), where);
  }
  EXPECT_GT(forward, 0);
  EXPECT_GT(backward, 0);
}

// Breaks if: what follows an undone step differs from training that never failed.
TEST_P(UndoTest, TrainingGoesOnAsIfNothingHadHappened) {
  const std::int64_t growth = plain_growth();
  const auto train = [&](bool fails) {
    Net net;
    prepare(net, GetParam());
    torch::optim::AdamW optimizer(net.parameters(), torch::optim::AdamWOptions(1e-3));
    const at::Tensor x = torch::randn({kBatch, 64});
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(fails && try_step(net, x, growth / 10).failed, fails);
      Budget larger({live() + Bytes(4 * growth), kEffort});
      Step step(larger);
      net.loss(x.narrow(0, 0, kBatch / 2)).backward();
      optimizer.step();
    }
    return net.state();
  };
  expect_same(train(false), train(true), "after two steps");
}

INSTANTIATE_TEST_SUITE_P(Gradients, UndoTest,
                         ::testing::Values(Gradients::kNone, Gradients::kZero,
                                           Gradients::kAccumulated),
                         [](const auto& gradients) {
                           switch (gradients.param) {
                             case Gradients::kNone:
                               return "None";
                             case Gradients::kZero:
                               return "Zero";
                             default:
                               return "Accumulated";
                           }
                         });

class UndoneStep : public ::testing::Test {
 protected:
  UndoneStep() { use_huge_page_allocator(); }
};

/// Asks for more than there is.
void run_out() {
  const at::Tensor x = torch::ones({1, 1}, torch::requires_grad());
  x.expand({1 << 15, 1 << 10}).exp();
}
constexpr std::int64_t kRoom = 64 << 20;  // less than that

/// A leaf and its bits.
struct Leaf {
  explicit Leaf(std::int64_t elements = 1000)
      : tensor(torch::full({elements}, 0.5, torch::requires_grad())) {}
  at::Tensor tensor;
  void backward() const { tensor.sin().sum().backward(); }
};

// Breaks if: gradients that are zeroed by the step are copied, or not zero after it failed.
TEST_F(UndoneStep, GradientsZeroedInItAreZeroAfterIt) {
  const Leaf leaf(1'000'000);
  leaf.backward();
  for (const bool after_forward : {false, true}) {
    Budget budget({live() + Bytes(kRoom), kEffort});
    EXPECT_THROW(
        {
          Step step(budget);
          at::Tensor loss;
          if (after_forward) loss = leaf.tensor.sum();
          const Bytes before = live();
          leaf.tensor.mutable_grad().zero_();
          EXPECT_EQ(live(), before);
          if (!after_forward) loss = leaf.tensor.sum();
          loss.backward();
          run_out();
        },
        BudgetError);
    EXPECT_TRUE(torch::equal(leaf.tensor.grad(), torch::zeros({1'000'000})));
    leaf.backward();
  }
}

// Breaks if: a gradient of zeros is copied, or another one is not.
TEST_F(UndoneStep, CopiesGradientsThatAreNotZero) {
  const Leaf leaf(1'000'000);
  leaf.backward();
  Budget budget({live() + Bytes(kRoom), kEffort});
  for (const bool zero : {true, false}) {
    if (zero) leaf.tensor.mutable_grad().zero_();
    Step step(budget);
    const Bytes before = live();
    leaf.tensor.sum().backward();
    EXPECT_EQ(live() - before, Bytes(zero ? 0 : 4'000'000));
  }
}

// Breaks if: the optimizer's changes are undone, or its state copied.
TEST_F(UndoneStep, WhatComesAfterTheOptimizerIsUndoneAlone) {
  Net net;
  torch::optim::AdamW optimizer(net.parameters(), torch::optim::AdamWOptions(1e-3));
  const at::Tensor x = torch::randn({8, 64});
  net.loss(x).backward();
  optimizer.step();
  Budget budget({live() + Bytes(kRoom), kEffort});
  State after_optimizer;
  EXPECT_THROW(
      {
        Step step(budget);
        net.loss(x).backward();
        const Bytes before = live();
        optimizer.step();
        EXPECT_LE(live(), before) << "copies were made or kept";
        after_optimizer = net.state();
        net.loss(x).backward();
        run_out();
      },
      BudgetError);
  expect_same(after_optimizer, net.state(), "after the optimizer");
}

// Breaks if: clipping is taken for the forward's, so that gradients are copied.
TEST_F(UndoneStep, ClippingBelongsToTheOptimizer) {
  const Leaf leaf(1'000'000);
  leaf.backward();
  Budget budget({live() + Bytes(kRoom), kEffort});
  for (const bool grad_mode : {true, false}) {
    Step step(budget);
    const Bytes before = live();
    leaf.tensor.sum().backward();
    EXPECT_EQ(live() - before, Bytes(4'000'000)) << "the gradient was there";
    const c10::AutoGradMode mode(grad_mode);
    torch::nn::utils::clip_grad_norm_({leaf.tensor}, 0.1);
    EXPECT_EQ(live() - before, Bytes(grad_mode ? 4'000'000 : 0));
  }
}

TEST_F(UndoneStep, EvaluationInItIsNeitherEnforcedNorCopied) {
  Net net;
  const at::Tensor x = torch::randn({8, 64});
  Budget budget({live() + Bytes(1'000'000), kEffort});
  Step step(budget);
  net.loss(x).backward();
  const Bytes before = live();
  {
    const at::NoGradGuard no_grad;
    net.layers->eval();
    const at::Tensor y = net.layers->forward(torch::randn({20'000, 64}));  // 5 MB
    EXPECT_EQ(live() - before, Bytes(y.nbytes()));
  }
  EXPECT_EQ(live(), before);
}

// The closure runs several times in one step.
TEST_F(UndoneStep, ClosuresOfAnOptimizerTrainToTheSameBits) {
  const auto train = [](Budget* budget) {
    Net net;
    torch::optim::LBFGS optimizer(net.parameters(), torch::optim::LBFGSOptions(0.1).max_iter(4));
    const at::Tensor x = torch::randn({kBatch, 64});
    for (int i = 0; i < 2; ++i) {
      const auto one = [&] {
        optimizer.step([&] {
          optimizer.zero_grad();
          const at::Tensor loss = net.loss(x);
          loss.backward();
          return loss;
        });
      };
      if (budget == nullptr) {
        one();
      } else {
        Step step(*budget);
        one();
      }
    }
    return net.state();
  };
  const State plain = train(nullptr);
  Budget budget({live() + Bytes(kRoom), kEffort});
  expect_same(plain, train(&budget), "LBFGS");
}

// Breaks if: parameters that a closure's optimizer moved are moved back, or what the failing one did stays.
TEST_F(UndoneStep, AClosureThatDoesNotFitIsUndoneAlone) {
  Net net;
  torch::optim::LBFGS optimizer(net.parameters(), torch::optim::LBFGSOptions(0.1).max_iter(4));
  const at::Tensor x = torch::randn({8, 64});
  Budget budget({live() + Bytes(kRoom), kEffort});
  int calls = 0;
  State at_start, before_second;
  at_start = net.state();
  EXPECT_THROW(
      {
        Step step(budget);
        optimizer.step([&] {
          optimizer.zero_grad();
          if (++calls == 2) before_second = net.state();
          const at::Tensor loss = net.loss(x);
          loss.backward();
          if (calls == 2) run_out();
          return loss;
        });
      },
      BudgetError);
  EXPECT_EQ(calls, 2);
  EXPECT_FALSE(same(at_start[0], before_second[0])) << "the optimizer moves parameters";
  expect_same(before_second, net.state(), "the second call");
}

// Breaks if: gradients of an earlier micro-batch are lost or kept, or its statistics.
TEST_F(UndoneStep, SeveralForwardsAreUndoneTogether) {
  Net net;
  at::Tensor metric = torch::zeros({1});
  const State before = net.state();
  Budget budget({live() + Bytes(kRoom), kEffort});
  EXPECT_THROW(
      {
        Step step(budget);
        for (int i = 0; i < 3; ++i) {
          const at::Tensor loss = net.loss(torch::randn({8, 64}));
          loss.backward();
          const at::NoGradGuard no_grad;
          metric.add_(loss);
        }
        run_out();
      },
      BudgetError);
  expect_same(before, net.state(), "before the step");
  EXPECT_EQ(metric.item<float>(), 0);
}

// Breaks if: an error that was handled undoes what the program did after it.
TEST_F(UndoneStep, NothingIsUndoneIfTheProgramGoesOn) {
  const Leaf leaf;
  Budget budget({live() + Bytes(kRoom), kEffort});
  {
    Step step(budget);
    EXPECT_THROW(run_out(), BudgetError);
    leaf.backward();
  }
  EXPECT_TRUE(leaf.tensor.grad().defined());
}

TEST_F(UndoneStep, IsUndoneIfItsEndFollowsTheError) {
  const Leaf leaf;
  Budget budget({live() + Bytes(kRoom), kEffort});
  {
    Step step(budget);
    leaf.backward();
    EXPECT_THROW(run_out(), BudgetError);
  }
  EXPECT_FALSE(leaf.tensor.grad().defined());
}

// Other errors leave what plain training leaves.
TEST_F(UndoneStep, AnErrorOfTheProgramUndoesNothing) {
  const Leaf leaf;
  Budget budget({live() + Bytes(kRoom), kEffort});
  EXPECT_THROW(
      {
        Step step(budget);
        leaf.backward();
        throw std::runtime_error("the user's own");
      },
      std::runtime_error);
  EXPECT_TRUE(leaf.tensor.grad().defined());
}

// Breaks if: a graph whose buffers were put back gives a gradient of what they are now, or keeps memory.
TEST_F(UndoneStep, ItsGraphCanNoLongerBeUsed) {
  const Leaf leaf;
  Budget budget({live() + Bytes(kRoom), kEffort});
  at::Tensor loss;
  const Bytes before = live();
  EXPECT_THROW(
      {
        Step step(budget);
        loss = leaf.tensor.exp().sin().sum();
        run_out();
      },
      BudgetError);
  EXPECT_EQ(live() - before, Bytes(4)) << "the loss alone";
  try {
    loss.backward();
    FAIL() << "gave a gradient";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("an allocation was refused"), std::string::npos);
  }
}

// Breaks if: only gradients of leaves are noted that an operator reads: a function of the user's own may
// read them otherwise.
struct ByPointer : torch::autograd::Function<ByPointer> {
  static at::Tensor forward(torch::autograd::AutogradContext* /*context*/, const at::Tensor& x) {
    at::Tensor y = torch::empty({x.numel()});
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      y.data_ptr<float>()[i] = 2 * x.data_ptr<float>()[i];
    }
    return y;
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* /*context*/,
                                               torch::autograd::tensor_list gradients) {
    return {gradients[0] * 2};
  }
};

TEST_F(UndoneStep, FindsGradientsOfLeavesThatNoOperatorReads) {
  const Leaf leaf;
  Budget budget({live() + Bytes(kRoom), kEffort});
  EXPECT_THROW(
      {
        Step step(budget);
        ByPointer::apply(leaf.tensor).sum().backward();
        EXPECT_TRUE(leaf.tensor.grad().defined());
        run_out();
      },
      BudgetError);
  EXPECT_FALSE(leaf.tensor.grad().defined());
}

TEST_F(UndoneStep, SparseGradientsArePutBack) {
  const at::Tensor table = torch::ones({10, 4}, torch::requires_grad());
  const auto backward = [&](std::int64_t row) {
    torch::embedding(table, torch::full({1}, row, torch::kLong), -1, false, true).sum().backward();
  };
  backward(3);
  const at::Tensor before = table.grad().to_dense();
  Budget budget({live() + Bytes(kRoom), kEffort});
  EXPECT_THROW(
      {
        Step step(budget);
        backward(5);
        EXPECT_FALSE(torch::equal(table.grad().to_dense(), before));
        run_out();
      },
      BudgetError);
  EXPECT_TRUE(torch::equal(table.grad().to_dense(), before));
}

// Breaks if: a region's stand-in is taken for the generator that it stands in for.
TEST_F(UndoneStep, GeneratorsUsedInRegionsArePutBack) {
  at::Generator own = at::detail::createCPUGenerator(7);
  const at::Tensor before = own.get_state();
  const at::Tensor x = torch::ones({10}, torch::requires_grad());
  Budget budget({live() + Bytes(kRoom), kEffort});
  EXPECT_THROW(
      {
        Step step(budget);
        checkpoint([&](const at::Tensor& t) { return t * torch::empty({10}).normal_(0, 1, own); },
                   x);
        EXPECT_FALSE(torch::equal(own.get_state(), before));
        run_out();
      },
      BudgetError);
  EXPECT_TRUE(torch::equal(own.get_state(), before));
}

TEST_F(UndoneStep, TensorsThatGotAnotherStorageOrSizeHaveTheirOwnAgain) {
  at::Tensor exchanged = torch::ones({3});
  at::Tensor resized = torch::ones({3});
  Budget budget({live() + Bytes(kRoom), kEffort});
  EXPECT_THROW(
      {
        Step step(budget);
        exchanged.set_(torch::zeros({5}));
        resized.resize_({7}).zero_();
        run_out();
      },
      BudgetError);
  EXPECT_TRUE(torch::equal(exchanged, torch::ones({3})));
  EXPECT_TRUE(torch::equal(resized, torch::ones({3})));
}

// Breaks if: memory that only the tape kept alive is written to, whose owner may have taken it back.
TEST_F(UndoneStep, WritesNothingIntoMemoryThatNobodyHolds) {
  std::vector<float> memory(1000, 1);
  const Leaf leaf;
  Budget budget({live() + Bytes(kRoom), kEffort});
  at::Tensor loss;  // its graph is held, so that the tape holds what it needs
  EXPECT_THROW(
      {
        Step step(budget);
        {
          const at::Tensor lent = torch::from_blob(memory.data(), {1000});
          lent.mul_(2);
          loss = (leaf.tensor * lent).sum();
        }
        EXPECT_EQ(memory[0], 2);
        std::fill(memory.begin(), memory.end(), 42.0F);
        run_out();
      },
      BudgetError);
  EXPECT_EQ(memory[0], 42);
}

// Breaks if: whoever has saved a tensor does not notice that it changed.
TEST_F(UndoneStep, WhatIsPutBackHasANewVersion) {
  const Leaf leaf;
  const at::Tensor buffer = torch::ones({1000});
  Budget budget({live() + Bytes(kRoom), kEffort});
  std::int64_t version = 0;
  EXPECT_THROW(
      {
        Step step(budget);
        buffer.add_(leaf.tensor.detach());
        version = buffer._version();
        run_out();
      },
      BudgetError);
  EXPECT_TRUE(torch::equal(buffer, torch::ones({1000})));
  EXPECT_GT(buffer._version(), version);
}

// ---- what the error says ----------------------------------------------------------------------------------

TEST_F(UndoneStep, TheErrorNamesOperatorBytesAndNeed) {
  Budget budget({live() + Bytes(kRoom), kEffort});
  try {
    Step step(budget);
    run_out();
    FAIL() << "it fits";
  } catch (const BudgetError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("aten::exp asks for 134217728 bytes"), std::string::npos) << text;
    EXPECT_NE(text.find("Give the budget at least"), std::string::npos) << text;
  }
}

/// Trains three steps, then one with `ballast` bytes less; the error that makes.
std::string error_with(std::int64_t ballast, Bytes memory, Net& net, const at::Tensor& x) {
  Budget budget({memory, kEffort});
  for (int i = 0; i < 3; ++i) {
    Step step(budget);
    net.loss(x).backward();
  }
  EXPECT_TRUE(budget.report().planned);
  const at::Tensor heavy = torch::empty({ballast}, torch::kByte);
  try {
    Step step(budget);
    net.loss(x).backward();
  } catch (const BudgetError& error) {
    return error.what();
  }
  return "it fits";
}

// Breaks if: a budget that is said to be enough is not.
TEST_F(UndoneStep, ABudgetKnownToWorkDoes) {
  const std::int64_t growth = plain_growth();
  Net net;
  prepare(net, Gradients::kAccumulated);
  const at::Tensor x = torch::randn({kBatch, 64});
  const std::int64_t ballast = growth * 6 / 10;
  const std::string text = error_with(ballast, live() + Bytes(growth * 7 / 10), net, x);
  const std::string before = "The smallest budget known to work for this step is ";
  const std::size_t place = text.find(before);
  ASSERT_NE(place, std::string::npos) << text;
  const Bytes enough(std::stoll(text.substr(place + before.size())));
  const at::Tensor heavy = torch::empty({ballast}, torch::kByte);
  Budget larger({enough, kEffort});
  Step step(larger);
  EXPECT_NO_THROW(net.loss(x).backward());
}

// ---- Budget::run ------------------------------------------------------------------------------------------

TEST_F(UndoneStep, RunRepeatsOnceWithTheSameNumbers) {
  Net net, other;
  other.own = at::detail::createCPUGenerator(7);
  const at::Tensor x = torch::randn({8, 64});
  torch::manual_seed(5);
  other.loss(x).backward();
  const State expected = other.state();
  torch::manual_seed(5);
  Budget budget({live() + Bytes(kRoom), kEffort});
  int calls = 0;
  budget.run([&] {
    net.loss(x).backward();
    if (++calls == 1) run_out();
  });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(budget.report().retries, 1);
  ASSERT_EQ(budget.report().retried_because.size(), 1);
  EXPECT_NE(budget.report().retried_because[0].find("aten::exp"), std::string::npos);
  expect_same(expected, net.state(), "after the repetition");
  { Step step(budget); }
  EXPECT_EQ(budget.report().retries, 0);
}

// Breaks if: the operator that gave other bits is not pinned, or what the first try did stays.
TEST_F(UndoneStep, RunRepeatsAfterAProofThatFailed) {
  const at::Tensor x = torch::full({1000}, 0.5, torch::requires_grad());
  const at::Tensor z = torch::full({1000}, 2.0, torch::requires_grad());
  // Room for the large temporaries, but not beside what is saved.
  Budget budget({live() + Bytes(8'006'000), kEffort});
  int calls = 0;
  const auto loss = [&] {
    at::Tensor h = x.sin();
    x.data_ptr<float>()[0] = 0.25;
    const at::Tensor y = h * h;
    h.reset();
    if (++calls == 1) torch::zeros({1'000'000}).exp();
    return (y * z).sum();
  };
  budget.run([&] { loss().backward(); });
  EXPECT_EQ(calls, 2);
  ASSERT_EQ(budget.report().retries, 1);
  const std::string because = budget.report().retried_because[0];
  EXPECT_NE(because.find("aten::sin gave other bits"), std::string::npos) << because;
  EXPECT_EQ(budget.report().pinned.size(), 1);
  const std::vector<at::Tensor> found = {x.grad().clone(), z.grad().clone()};
  x.mutable_grad().reset();
  z.mutable_grad().reset();
  loss().backward();
  EXPECT_TRUE(torch::equal(found[0], x.grad()));
  EXPECT_TRUE(torch::equal(found[1], z.grad())) << "the first try had formed it";
}

TEST_F(UndoneStep, RunThrowsTheSecondTime) {
  Net net;
  const State before = net.state();
  const at::Tensor x = torch::randn({8, 64});
  const at::Tensor generator = at::detail::getDefaultCPUGenerator().get_state();
  Budget budget({live() + Bytes(kRoom), kEffort});
  int calls = 0;
  EXPECT_THROW(budget.run([&] {
    ++calls;
    net.loss(x).backward();
    run_out();
  }),
               BudgetError);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(budget.report().retries, 1);
  EXPECT_TRUE(torch::equal(at::detail::getDefaultCPUGenerator().get_state(), generator));
  State after = net.state();
  after.back() = before.back();  // x was drawn in between
  expect_same(before, after, "after both");
}

TEST_F(UndoneStep, RunDoesNotRepeatWhatAnOptimizerDid) {
  Net net;
  torch::optim::SGD optimizer(net.parameters(), torch::optim::SGDOptions(0.1));
  const at::Tensor x = torch::randn({8, 64});
  Budget budget({live() + Bytes(kRoom), kEffort});
  for (const bool at_the_end : {true, false}) {
    int calls = 0;
    EXPECT_THROW(budget.run([&] {
      ++calls;
      if (!at_the_end) optimizer.step();
      net.loss(x).backward();
      if (at_the_end) optimizer.step();
      run_out();
    }),
                 BudgetError);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(budget.report().retries, 0);
  }
}

// Breaks if: only what follows the optimizer's first write tells that it ran.
TEST_F(UndoneStep, RunDoesNotRepeatAnOptimizerOfOneParameter) {
  const Leaf leaf;
  torch::optim::SGD optimizer({leaf.tensor}, torch::optim::SGDOptions(0.1));
  Budget budget({live() + Bytes(kRoom), kEffort});
  int calls = 0;
  EXPECT_THROW(budget.run([&] {
    ++calls;
    leaf.backward();
    optimizer.step();
    run_out();
  }),
               BudgetError);
  EXPECT_EQ(calls, 1);
}

// Breaks if: a forward that clips its weights is taken for the optimizer the second time.
TEST_F(UndoneStep, ForwardsThatClipTheirWeightsAreUndoneTogether) {
  const Leaf leaf;
  Budget budget({live() + Bytes(kRoom), kEffort});
  EXPECT_THROW(
      {
        Step step(budget);
        for (int i = 0; i < 2; ++i) {
          const at::Tensor ahead = leaf.tensor.detach().sin();
          {
            const at::NoGradGuard no_grad;
            leaf.tensor.clamp_(-0.4, 0.4);
          }
          leaf.backward();
        }
        run_out();
      },
      BudgetError);
  EXPECT_TRUE(torch::equal(leaf.tensor, torch::full({1000}, 0.5)));
  EXPECT_FALSE(leaf.tensor.grad().defined());
}

TEST_F(UndoneStep, RunLeavesOtherErrorsAlone) {
  Budget budget({live() + Bytes(kRoom), kEffort});
  int calls = 0;
  EXPECT_THROW(budget.run([&] {
    ++calls;
    throw std::runtime_error("the user's own");
  }),
               std::runtime_error);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace remat

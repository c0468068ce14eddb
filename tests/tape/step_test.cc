// Training within a budget, on models small enough to say what happens.
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/memory.h>
#include <remat/planner.h>
#include <remat/simulator.h>

namespace remat {
namespace {

constexpr std::int64_t kEffort = 100'000;

/// Bits, out of sight of the allocator that is being watched.
std::vector<char> bits_of(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().contiguous();
  std::vector<char> bits(plain.nbytes());
  if (!bits.empty()) std::memcpy(bits.data(), plain.data_ptr(), bits.size());
  return bits;
}

torch::nn::Sequential deep_net() {
  torch::manual_seed(1);
  torch::nn::Sequential net;
  for (int i = 0; i < 6; ++i) {
    net->push_back(torch::nn::Linear(64, 64));
    net->push_back(torch::nn::Tanh());
    net->push_back(torch::nn::Dropout(0.1));
  }
  return net;
}

/// Five steps of AdamW; the bits of every loss, gradient and parameter.
struct Training {
  torch::nn::Sequential net = deep_net();
  torch::optim::AdamW optimizer{net->parameters(), torch::optim::AdamWOptions(1e-3)};
  std::vector<std::vector<char>> bits;

  void step(std::int64_t batch) {
    net->zero_grad(false);  // the optimizer's default is another since LibTorch 2
    const at::Tensor loss = net->forward(torch::randn({batch, 64})).square().mean();
    loss.backward();
    bits.push_back(bits_of(loss));
    for (const at::Tensor& parameter : net->parameters()) bits.push_back(bits_of(parameter.grad()));
    optimizer.step();
    for (const at::Tensor& parameter : net->parameters()) bits.push_back(bits_of(parameter));
  }
};

std::vector<std::vector<char>> plain_bits(const std::vector<std::int64_t>& batches) {
  Training training;
  for (const auto batch : batches) training.step(batch);
  return training.bits;
}

/// What a plain step needs, its activations at the peak among it.
struct Plain {
  Bytes peak;
  Bytes fixed;
  Plain() {
    Training training;
    training.step(512);
    const Bytes before = *live_cpu_bytes();
    MemoryTracker tracker;
    training.step(512);
    fixed = before;
    peak = before + tracker.peak_bytes();
  }
  Bytes share(double of_activations) const {
    return fixed + Bytes(static_cast<std::int64_t>(of_activations * (peak - fixed).count()));
  }
};

class StepTest : public ::testing::Test {
 protected:
  StepTest() { use_huge_page_allocator(); }
};

// Breaks if: a saved tensor is made again with other bits, a plan is not followed, or memory runs over.
TEST_F(StepTest, GivesTheSameBitsWithinHalfTheActivations) {
  const std::vector<std::int64_t> batches(5, 512);
  const auto expected = plain_bits(batches);
  const Bytes memory = Plain().share(0.5);
  Budget budget({memory, kEffort});
  Training training;
  for (const auto batch : batches) {
    {
      Step step(budget);
      training.step(batch);
    }
    const BudgetReport report = budget.report();
    EXPECT_LE(report.tracked_peak, memory);
    EXPECT_GT(report.replays, 0);
  }
  EXPECT_EQ(training.bits, expected);
  const BudgetReport report = budget.report();
  EXPECT_TRUE(report.planned);
  EXPECT_EQ(report.evictions, 0) << "the plan fits";
  EXPECT_EQ(report.plans_made, 1);
}

/// How often an operator runs on this thread while `run` does.
std::int64_t runs_of(const std::string& name, const std::function<void()>& run) {
  static thread_local std::string watched;
  static thread_local std::int64_t runs;
  watched = name;
  runs = 0;
  const auto begin =
      [](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
    if (watched == function.name()) ++runs;
    return nullptr;
  };
  const auto handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(begin).scopes({at::RecordScope::FUNCTION}));
  run();
  at::removeCallback(handle);
  return runs;
}

/// How often the plan for the last recorded step has an operator run. Plans are the same each time.
std::int64_t planned_runs_of(const std::string& name, const Budget& budget) {
  const OpGraph& graph = *budget.graph();
  GraphPlanOptions options;
  options.memory = budget.report().memory;
  options.effort = kEffort;
  const GraphPlanResult result = plan_graph(graph, options);
  std::int64_t runs = 0;
  for (const PlanAction& action : result.plan.actions) {
    const auto* run = std::get_if<RunOp>(&action);
    if (run == nullptr) continue;
    const std::string& op = graph.ops[static_cast<std::size_t>(run->op)].name;
    if (op.find(name) != std::string::npos) ++runs;
  }
  return runs;
}

// Breaks if: an operator with several results, the first of which goes on in place, runs once for each of them.
TEST_F(StepTest, ReplaysAllResultsOfAnOperatorInOneRun) {
  torch::manual_seed(1);
  torch::nn::Sequential net;
  for (int i = 0; i < 6; ++i) {
    net->push_back(torch::nn::Linear(64, 64));
    net->push_back(torch::nn::BatchNorm1d(64));
    net->push_back(torch::nn::ReLU(torch::nn::ReLUOptions(true)));
  }
  const at::Tensor input = torch::randn({512, 64});
  const auto train = [&] {
    net->forward(input).square().mean().backward();
    net->zero_grad(false);
  };
  train();
  const Bytes fixed = *live_cpu_bytes();
  MemoryTracker tracker;
  EXPECT_EQ(runs_of("aten::native_batch_norm", train), 6);
  Budget budget({fixed + tracker.peak_bytes() / 2, kEffort});
  std::int64_t runs = 0;
  for (int i = 0; i < 5; ++i) {
    const Step step(budget);
    runs = runs_of("aten::native_batch_norm", train);
  }
  ASSERT_TRUE(budget.report().planned);
  EXPECT_GT(runs, 6);
  EXPECT_EQ(runs, planned_runs_of("aten::native_batch_norm", budget));
}

// The graph's memory is the measured one.
TEST_F(StepTest, PredictsThePeak) {
  const Plain plain;
  const Bytes memory = plain.share(0.5);
  Budget budget({memory, kEffort});
  Training training;
  for (int i = 0; i < 4; ++i) {
    Step step(budget);
    training.step(512);
  }
  const BudgetReport report = budget.report();
  ASSERT_TRUE(report.planned);
  EXPECT_NEAR(report.predicted_peak.count(), report.tracked_peak.count(), memory.count() / 100);
  EXPECT_NEAR(report.plain_peak.count(), plain.peak.count(), memory.count() / 50);
}

// Breaks if: gradients that the step releases and makes anew are counted twice.
TEST_F(StepTest, PredictsThePeakWhereGradientsAreReleasedInTheStep) {
  const Bytes before = *live_cpu_bytes();
  MemoryTracker tracker;
  const auto weight = torch::linspace(-1, 1, 1 << 18, torch::requires_grad());
  const auto train = [&] {
    weight.mutable_grad() = at::Tensor();
    weight.sin().sin().sum().backward();
  };
  train();
  Budget budget({Bytes::parse("1GiB"), kEffort});
  for (int i = 0; i < 4; ++i) {
    tracker.reset_peak();
    {
      Step step(budget);
      train();
    }
    EXPECT_EQ(budget.report().tracked_peak, before + tracker.peak_bytes()) << "step " << i;
  }
  const BudgetReport report = budget.report();
  ASSERT_TRUE(report.planned);
  const double tracked = static_cast<double>(report.tracked_peak.count());
  EXPECT_NEAR(static_cast<double>(report.predicted_peak.count()), tracked, tracked / 100);
}

// Breaks if: a plan keeps what its values are not yet, or never become.
TEST_F(StepTest, KeepsNoMemoryThatNobodyWrites) {
  Budget budget({Bytes::parse("1GiB"), kEffort});
  const at::Tensor x = torch::ones({64}, torch::requires_grad());
  for (int i = 0; i < 4; ++i) {
    const Step step(budget);
    const at::Tensor y = x.exp();
    const Bytes before = *live_cpu_bytes();
    torch::empty({4096});
    EXPECT_EQ(*live_cpu_bytes(), before) << "step " << i;
    y.sin().sum().backward();
  }
  EXPECT_TRUE(budget.report().planned);
}

// Breaks if: gradients that are set to zero in a step, by module or optimizer, are copied to be put back.
TEST_F(StepTest, ZeroingGradientsTakesNoMemory) {
  Training training;
  training.step(512);
  training.net->zero_grad(false);
  const Bytes before = *live_cpu_bytes();
  MemoryTracker tracker;
  const auto train = [&] {
    training.net->zero_grad(false);
    training.net->forward(torch::randn({512, 64})).square().mean().backward();
  };
  train();
  const Bytes plain = before + tracker.peak_bytes();
  Budget budget({Bytes::parse("8GiB"), kEffort});
  for (int i = 0; i < 3; ++i) {
    const Step step(budget);
    train();
  }
  EXPECT_LE(budget.report().tracked_peak, plain + Bytes(20'000));
}

TEST_F(StepTest, ReplaysNothingWhereEverythingFits) {
  Budget budget({Bytes::parse("8GiB"), kEffort});
  Training training;
  for (int i = 0; i < 4; ++i) {
    Step step(budget);
    training.step(512);
  }
  EXPECT_EQ(budget.report().replays, 0);
  EXPECT_TRUE(budget.report().planned);
}

TEST_F(StepTest, StepsOfOtherShapesHavePlansOfTheirOwn) {
  const std::vector<std::int64_t> batches = {512, 512, 384, 384, 512, 384, 512};
  const auto expected = plain_bits(batches);
  const Bytes memory = Plain().share(0.5);
  Budget budget({memory, kEffort});
  Training training;
  std::vector<bool> planned;
  for (const auto batch : batches) {
    {
      Step step(budget);
      training.step(batch);
    }
    EXPECT_LE(budget.report().tracked_peak, memory);
    planned.push_back(budget.report().planned);
  }
  EXPECT_EQ(training.bits, expected);
  EXPECT_EQ(planned, (std::vector<bool>{false, false, false, true, true, true, true}));
  EXPECT_EQ(budget.report().plans_made, 2);
}

// Breaks if: gradients that are clipped in some steps only make each step one without a plan.
TEST_F(StepTest, AStepMayEndInDifferentWays) {
  Budget budget({Plain().share(0.5), kEffort});
  Training training;
  std::vector<bool> planned;
  for (int i = 0; i < 6; ++i) {
    {
      Step step(budget);
      training.step(512);
      if (i % 3 == 2) training.net->parameters()[0].sum().item();
    }
    planned.push_back(budget.report().planned);
  }
  EXPECT_EQ(planned, (std::vector<bool>{false, false, true, true, true, true}));
  EXPECT_EQ(budget.report().plans_made, 1);
}

TEST_F(StepTest, SaysWhatDoesNotFit) {
  const Bytes memory = Plain().fixed + Bytes(100'000);
  Budget budget({memory, kEffort});
  Training training;
  training.step(512);  // the optimizer's state
  const Bytes before = *live_cpu_bytes();
  try {
    Step step(budget);
    training.step(512);
    FAIL() << "it fits";
  } catch (const BudgetError& error) {
    EXPECT_NE(std::string(error.what()).find("aten::"), std::string::npos) << error.what();
  }
  training.net->zero_grad(false);
  EXPECT_LE(*live_cpu_bytes(), before);
}

// Breaks if: gradients that were on their way when a pass was cut off are kept.
TEST_F(StepTest, LetsGoOfWhatARefusedBackwardLeft) {
  const Plain plain;
  Training training;
  training.step(512);
  training.net->zero_grad(false);
  const Bytes before = *live_cpu_bytes();
  int refused_backward = 0;
  for (double share = 0.1; share < 1; share += 0.03) {
    Budget budget(
        {before + Bytes(static_cast<std::int64_t>(share * (plain.peak - plain.fixed).count())),
         kEffort});
    try {
      Step step(budget);
      // Of two branches one waits while the other runs.
      const at::Tensor x = torch::randn({512, 64});
      (training.net->forward(x) + training.net->forward(x + 1)).square().mean().backward();
    } catch (const BudgetError& error) {
      refused_backward += std::string(error.what()).find("backward") != std::string::npos ? 1 : 0;
    }
    EXPECT_EQ(*live_cpu_bytes(), before) << share;
  }
  EXPECT_GT(refused_backward, 0);
}

TEST_F(StepTest, IsAskedForAfterItHasEnded) {
  const Bytes memory = Plain().share(0.5);
  Training plain, budgeted;
  torch::manual_seed(3);
  plain.net->forward(torch::randn({512, 64})).square().mean().backward();
  torch::manual_seed(3);
  Budget budget({memory, kEffort});
  at::Tensor loss;
  {
    Step step(budget);
    loss = budgeted.net->forward(torch::randn({512, 64})).square().mean();
  }
  loss.backward();
  for (std::size_t i = 0; i < plain.net->parameters().size(); ++i) {
    EXPECT_TRUE(
        torch::equal(plain.net->parameters()[i].grad(), budgeted.net->parameters()[i].grad()));
  }
}

// Breaks if: a plan is made for a part of a step, which would let go of all that backward needs.
TEST_F(StepTest, PlansForWholeStepsOnly) {
  Budget budget({Bytes::parse("1GiB"), kEffort});
  Training training;
  training.step(512);
  for (int i = 0; i < 3; ++i) {
    at::Tensor loss;
    {
      Step step(budget);
      loss = training.net->forward(torch::randn({512, 64})).square().mean();
    }
    EXPECT_THROW(
        {
          Step step(budget);
          training.net->forward(torch::randn({512, 64}));
          throw std::runtime_error("the user's own");
        },
        std::runtime_error);
  }
  EXPECT_EQ(budget.report().plans_made, 0);
}

// Breaks if: what is not in the CPU's memory is hashed, held, or counted as what could be let go of.
TEST_F(StepTest, LeavesOtherDevicesAlone) {
  Budget budget({Bytes::parse("8GiB"), kEffort});
  for (int i = 0; i < 3; ++i) {
    const Step step(budget);
    const at::Tensor weight =
        torch::empty({64, 64}, at::TensorOptions(at::kMeta).requires_grad(true));
    at::Tensor product = weight.mm(weight);
    const c10::weak_intrusive_ptr<c10::StorageImpl> storage(
        c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(
            product.storage().unsafeGetStorageImpl()));
    const at::Tensor loss = product.tanh().mul(2).sum();
    product.reset();
    EXPECT_TRUE(storage.expired()) << "nobody saved it";
    loss.backward();
    EXPECT_TRUE(weight.grad().defined());
  }
  EXPECT_EQ(budget.report().replays, 0);
}

// Breaks if: a function's own forward, which runs without gradients, passes the budget.
TEST_F(StepTest, MakesRoomWithoutGradientsButRefusesNothing) {
  const at::Tensor x = torch::ones({1 << 20}, torch::requires_grad());
  const Bytes memory = *live_cpu_bytes() + Bytes::parse("28MiB");
  Budget budget({memory, kEffort});
  const Step step(budget);
  at::Tensor y = x;
  for (int i = 0; i < 5; ++i) y = y.sin();
  {
    const torch::NoGradGuard no_grad;
    const at::Tensor large = torch::zeros({3 << 20});
    EXPECT_LE(*live_cpu_bytes(), memory);
  }
  y.sum().backward();
  const torch::NoGradGuard no_grad;
  EXPECT_NO_THROW(torch::zeros({16 << 20})) << "as an optimizer would";
}

TEST_F(StepTest, OnlyOneBudgetAtATime) {
  Budget budget({Bytes::parse("1GiB")});
  EXPECT_THROW(Budget({Bytes::parse("1GiB")}), Error);
}

TEST_F(StepTest, RefusesWhatIsNoBudget) {
  EXPECT_THROW(Budget({Bytes(0)}), InvalidArgument);
  EXPECT_THROW(Budget({Bytes(1), -1}), InvalidArgument);
  EXPECT_THROW(Budget({Bytes(1), 0, 0}), InvalidArgument);
  Budget fine({Bytes(1)});
}

// A change in place between forward and backward is autograd's error, as without remat.
TEST_F(StepTest, ChecksVersions) {
  Budget budget({Bytes::parse("1GiB")});
  Step step(budget);
  const at::Tensor x = torch::ones({4}, torch::requires_grad());
  at::Tensor y = x.exp();
  const at::Tensor z = y.sin();
  y.add_(1);
  EXPECT_THROW(z.sum().backward(), c10::Error);
}

// Breaks if: what is recorded after backward stays with the tape, which stays until a plan is made of it.
TEST_F(StepTest, HoldsNothingOnceItIsOver) {
  Budget budget({Bytes::parse("1GiB"), kEffort});
  Training training;
  training.step(512);
  const Bytes before = *live_cpu_bytes();
  {
    Step step(budget);
    const auto loss = training.net->forward(torch::randn({512, 64})).square().mean();
    loss.backward();
    EXPECT_GT((loss * 2).item<float>(), 0);
  }
  EXPECT_EQ(*live_cpu_bytes(), before);
}

TEST_F(StepTest, LetsGoOfADroppedGraph) {
  Budget budget({Bytes::parse("1GiB")});
  const at::Tensor x = torch::ones({1000}, torch::requires_grad());
  const Bytes before = *live_cpu_bytes();
  Step step(budget);
  { const at::Tensor y = x.exp().sin().tanh(); }
  EXPECT_EQ(*live_cpu_bytes(), before);
}

// Breaks if: recipes are followed, or records destroyed, by recursion. (tape.md, F18)
TEST_F(StepTest, ReplaysADeepChain) {
  const auto gradient = [] {
    const at::Tensor x = torch::full({1000}, 0.5, torch::requires_grad());
    at::Tensor y = x;
    for (int i = 0; i < 20'000; ++i) y = y.sin();
    return torch::autograd::grad({y.sum()}, {x})[0];
  };
  const at::Tensor expected = gradient();
  Budget budget({*live_cpu_bytes() + Bytes(20'000'000), kEffort});
  {
    Step step(budget);
    EXPECT_TRUE(torch::equal(gradient(), expected));
  }
  EXPECT_GT(budget.report().replays, 10'000);
}

// ---- what nobody sees --------------------------------------------------------------------------------

/// A function of x that depends on `hidden` having run on one of its values; the gradient of x.
at::Tensor gradient_through(const at::Tensor& x,
                            const std::function<void(const at::Tensor&)>& hidden,
                            bool large = true) {
  at::Tensor h = x.sin().clone();
  hidden(h);
  at::Tensor y = h * h;
  h.reset();
  if (large) y = y.exp() + torch::zeros({1'000'000}).exp().sum();
  return torch::autograd::grad({y.sum()}, {x})[0];
}

void write_through_a_pointer(const at::Tensor& tensor) { tensor.data_ptr<float>()[0] = 100; }

// Breaks if: a clone is made again although its memory was written to without an operator.
// Breaks if: on the way down a chain, what each link needs besides the link before it is kept until the chain has
// been climbed again.
TEST_F(StepTest, ReplaysInTheMemoryOfTheForward) {
  constexpr std::int64_t kLinks = 48;
  const auto train = [](at::Tensor& weight) {
    at::Tensor cell = weight, hidden = weight;
    for (std::int64_t i = 0; i < kLinks; ++i) {
      const auto gate = hidden.repeat({4}).sigmoid_().chunk(4);
      cell = gate[0] * cell + gate[1] * gate[2];
      hidden = gate[3] * cell.tanh();
    }
    hidden.sum().backward();
  };
  torch::manual_seed(1);
  at::Tensor weight = torch::rand({1 << 14}).requires_grad_();
  train(weight);
  const at::Tensor expected = weight.grad();
  weight.mutable_grad() = at::Tensor();
  Budget budget({*live_cpu_bytes() + Bytes(weight.nbytes()) * 20, kEffort});
  for (int i = 0; i < 2; ++i) {
    const Step step(budget);
    train(weight);
    EXPECT_TRUE(weight.grad().equal(expected));
    weight.mutable_grad() = at::Tensor();
  }
  EXPECT_GT(budget.report().replays, 0);
}

TEST_F(StepTest, KeepsWhatIsWrittenThroughAPointer) {
  const at::Tensor x = torch::full({1000}, 0.5, torch::requires_grad());
  const at::Tensor expected = gradient_through(x, write_through_a_pointer);
  // Room for the large temporaries, but not beside what is saved.
  Budget budget({*live_cpu_bytes() + Bytes(8'020'000), kEffort});
  for (int i = 0; i < 4; ++i) {
    Step step(budget);
    EXPECT_TRUE(torch::equal(gradient_through(x, write_through_a_pointer), expected)) << i;
  }
  ASSERT_EQ(budget.report().pinned.size(), 1);
  EXPECT_NE(budget.report().pinned[0].find("aten::clone"), std::string::npos);
}

TEST_F(StepTest, AuditsUntilAPlanIsProven) {
  Budget budget({Plain().share(0.5), kEffort});
  Training training;
  std::vector<bool> audited;
  for (int i = 0; i < 5; ++i) {
    if (i == 4) budget.audit_next_step();
    {
      Step step(budget);
      training.step(512);
    }
    audited.push_back(budget.report().audited);
  }
  EXPECT_EQ(audited, (std::vector<bool>{true, true, true, false, true}));
}

}  // namespace
}  // namespace remat

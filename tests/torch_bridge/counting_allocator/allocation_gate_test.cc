// Gates: asked before allocations, and what refusing does to LibTorch.
#include "torch_bridge/allocation_gate.h"

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include <c10/core/CPUAllocator.h>
#include <torch/torch.h>

#include <remat/memory.h>

#include "tests/testing/models.h"
#include "torch_bridge/cpu_allocator.h"

namespace remat {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using torch_bridge::AllocationGate;
using torch_bridge::CpuAllocator;
using torch_bridge::GatePause;
using torch_bridge::GateScope;

at::Tensor bytes(std::int64_t count) { return torch::empty({count}, at::kByte); }

struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Notes what it is asked, then does `then`.
struct Gate final : AllocationGate {
  explicit Gate(std::function<void(std::int64_t)> do_then = [](std::int64_t) {})
      : then(std::move(do_then)) {}
  void before_allocation(std::int64_t count) override {
    asked.push_back(count);
    then(count);
  }
  std::function<void(std::int64_t)> then;
  std::vector<std::int64_t> asked;
};

/// Refuses one allocation, the `at`-th from 0.
Gate refusing(std::int64_t at) {
  return Gate([left = at](std::int64_t) mutable {
    if (left-- == 0) throw Refused("refused");
  });
}

class AllocationGates : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { CpuAllocator::install_counting("test"); }
  static std::int64_t live() { return live_cpu_bytes()->count(); }
};

TEST_F(AllocationGates, AreAskedBeforeEachAllocationOfTheirScope) {
  Gate gate;
  const auto before = live();
  std::vector<std::int64_t> live_when_asked;
  gate.then = [&](std::int64_t) { live_when_asked.push_back(live() - before); };
  const at::Tensor outside = bytes(100);
  {
    const GateScope scope(gate);
    const at::Tensor a = bytes(10), none = bytes(0), view = a.narrow(0, 2, 3), b = bytes(5'000'000);
  }
  const at::Tensor after = bytes(100);
  EXPECT_THAT(gate.asked, ElementsAre(10, 5'000'000));
  EXPECT_THAT(live_when_asked, ElementsAre(100, 110));
}

TEST_F(AllocationGates, SeeStoragesThatGrowAndRawBlocks) {
  at::Tensor grows = bytes(10);
  auto* const allocator = c10::GetCPUAllocator();
  Gate gate;
  {
    const GateScope scope(gate);
    grows.resize_({20});
    allocator->raw_deallocate(allocator->raw_allocate(30));
    allocator->raw_deallocate(allocator->raw_allocate(0));
  }
  EXPECT_THAT(gate.asked, ElementsAre(20, 30));
}

TEST_F(AllocationGates, TheInnermostIsAsked) {
  Gate outer, inner;
  const GateScope outer_scope(outer);
  bytes(1);
  {
    const GateScope inner_scope(inner);
    bytes(2);
  }
  bytes(3);
  EXPECT_THAT(outer.asked, ElementsAre(1, 3));
  EXPECT_THAT(inner.asked, ElementsAre(2));
}

TEST_F(AllocationGates, NoneIsAskedWhilePaused) {
  Gate outer, inner;
  const GateScope scope(outer);
  {
    const GatePause pause;
    bytes(1);
    const GateScope inner_scope(inner);
    bytes(2);
    { const GatePause again; }
    bytes(3);
  }
  bytes(4);
  EXPECT_THAT(outer.asked, ElementsAre(4));
  EXPECT_THAT(inner.asked, IsEmpty());
}

TEST_F(AllocationGates, OtherThreadsAreNotAsked) {
  Gate gate, other;
  const GateScope scope(gate);
  const GatePause pause;
  std::thread([&other] {
    bytes(1);
    const GateScope other_scope(other);
    bytes(2);
  }).join();
  EXPECT_THAT(gate.asked, IsEmpty());
  EXPECT_THAT(other.asked, ElementsAre(2)) << "the pause is this thread's alone";
}

TEST_F(AllocationGates, MayReleaseAndAllocate) {
  const auto before = live();
  at::Tensor kept = bytes(1000), made;
  Gate gate([&](std::int64_t) {
    kept.reset();
    made = bytes(50) + 1;
  });
  const GateScope scope(gate);
  const at::Tensor asked_for = bytes(700);
  EXPECT_EQ(live() - before, 750);
  EXPECT_THAT(gate.asked, ElementsAre(700)) << "not about what it allocates itself";
}

TEST_F(AllocationGates, MayRefuse) {
  const auto before = live();
  Gate gate = refusing(0);
  const GateScope scope(gate);
  EXPECT_THROW(bytes(700), Refused);
  EXPECT_EQ(live(), before);
  const at::Tensor next = bytes(600);
  EXPECT_EQ(live() - before, 600);
  EXPECT_THAT(gate.asked, ElementsAre(700, 600)) << "it is asked again after a refusal";
}

TEST_F(AllocationGates, MayRefuseRawBlocks) {
  const auto before = live();
  Gate gate = refusing(0);
  const GateScope scope(gate);
  EXPECT_THROW(c10::GetCPUAllocator()->raw_allocate(700), Refused);
  EXPECT_EQ(live(), before);
}

TEST_F(AllocationGates, EndWithTheirScopeWhenTheyThrow) {
  Gate outer, inner = refusing(0);
  const GateScope scope(outer);
  EXPECT_THROW(
      {
        const GateScope inner_scope(inner);
        bytes(1);
      },
      Refused);
  bytes(2);
  EXPECT_THAT(outer.asked, ElementsAre(2));
}

// ---- refusals inside LibTorch -------------------------------------------------------------------

struct Operator {
  std::string name;
  std::function<void(const at::Tensor& x, at::Tensor& y)>
      run;  // both (8, 16), y with room for more
};

const std::vector<Operator>& operators() {
  static const std::vector<Operator> all = {
      {"matmul", [](const at::Tensor& x, at::Tensor&) { x.matmul(x.t()); }},
      {"sum", [](const at::Tensor& x, at::Tensor&) { x.sum(0); }},
      {"sort", [](const at::Tensor& x, at::Tensor&) { x.t().sort(1); }},
      {"cat",
       [](const at::Tensor& x, at::Tensor& y) {
         torch::cat({x, y.t().contiguous().t()});
       }},
      {"softmax", [](const at::Tensor& x, at::Tensor&) { x.t().softmax(1); }},
      {"dropout", [](const at::Tensor& x, at::Tensor&) { torch::dropout(x, 0.5, true); }},
      {"conv1d",
       [](const at::Tensor& x, at::Tensor&) {
         torch::conv1d(x.view({1, 8, 16}), x.view({8, 8, 2}));
       }},
      {"index", [](const at::Tensor& x, at::Tensor&) { x.index({x > 0}); }},
      {"add_", [](const at::Tensor& x, at::Tensor& y) { y.add_(x.to(at::kDouble)); }},
      {"add.out",
       [](const at::Tensor& x, at::Tensor& y) { torch::add_out(y, x, x.to(at::kDouble)); }},
      {"inverse", [](const at::Tensor& x, at::Tensor&) { x.matmul(x.t()).inverse(); }},
      {"unique", [](const at::Tensor& x, at::Tensor&) { at::_unique2(x, true, true, true); }},
      {"to bfloat16", [](const at::Tensor& x,
                         at::Tensor&) { x.to(at::kBFloat16).matmul(x.t().to(at::kBFloat16)); }},
  };
  return all;
}

// Refuses the first allocation, the second, ... until one run needs no more.
std::int64_t refuse_each(const std::function<void()>& run, const std::function<void()>& check) {
  for (std::int64_t at = 0;; ++at) {
    Gate gate = refusing(at);
    const GateScope scope(gate);
    try {
      run();
      return at;
    } catch (const Refused&) {
      const GatePause pause;
      check();
    }
  }
}

TEST_F(AllocationGates, OperatorsLetRefusalsThroughAndLeakNothing) {
  for (const auto& [name, run] : operators()) {
    SCOPED_TRACE(name);
    torch::manual_seed(1);
    const at::Tensor x = torch::randn({8, 16});
    at::Tensor y = torch::randn({8, 16});
    const at::Tensor x_before = x.clone(), y_before = y.clone();
    const auto before = live();
    const auto allocations = refuse_each([&, &run = run] { run(x, y); },
                                         [&] {
                                           EXPECT_EQ(live(), before);
                                           EXPECT_TRUE(x.equal(x_before) && y.equal(y_before));
                                         });
    EXPECT_GT(allocations, 0);
    EXPECT_EQ(live(), before);
  }
}

struct Step {
  testing::Model model;
  at::Tensor run() {
    torch::manual_seed(5);
    const at::Tensor loss = testing::run_plainly(model.layers, model.input).square().mean();
    loss.backward();
    return loss;
  }
  std::vector<at::Tensor> gradients() const {
    std::vector<at::Tensor> all;
    for (const auto& parameter : model.modules->parameters()) all.push_back(parameter.grad());
    return all;
  }
};

Step make_step(const testing::NamedModel& named) {
  torch::manual_seed(3);
  return {named.make(0.1)};
}

// After a backward that failed, the gradients of nodes that were ready to run wait in LibTorch's queue of this
// thread until its next backward.
void empty_the_engines_queue() { (torch::ones({1}, torch::requires_grad()) * 1).backward(); }

class RefusedSteps : public ::testing::TestWithParam<testing::NamedModel> {
 protected:
  static void SetUpTestSuite() { CpuAllocator::install_counting("test"); }
};

// Wherever forward or backward is refused: the exception arrives as it was thrown, nothing leaks, and the
// process goes on as if nothing had been.
TEST_P(RefusedSteps, LeakNothing) {
  Step reference = make_step(GetParam());
  const at::Tensor loss = reference.run();
  Step step = make_step(GetParam());
  step.run();  // makes the gradients, which live on
  Gate counting;
  {
    const GateScope scope(counting);
    step.run();
  }
  const auto before = live_cpu_bytes();
  const auto allocations = static_cast<std::int64_t>(counting.asked.size());
  const std::int64_t stride = allocations / 97 + 1;
  for (std::int64_t at = 0; at < allocations; at += stride) {
    SCOPED_TRACE(at);
    Gate gate = refusing(at);
    const GateScope scope(gate);
    EXPECT_THROW(step.run(), Refused);
    empty_the_engines_queue();
    EXPECT_EQ(live_cpu_bytes(), before);
  }
  Step again = make_step(GetParam());
  EXPECT_TRUE(again.run().equal(loss));
  const auto gradients = again.gradients(), expected = reference.gradients();
  for (std::size_t i = 0; i < gradients.size(); ++i) EXPECT_TRUE(gradients[i].equal(expected[i]));
}

INSTANTIATE_TEST_SUITE_P(, RefusedSteps, ::testing::ValuesIn(testing::all_models()),
                         [](const auto& model) { return model.param.name; });

}  // namespace
}  // namespace remat

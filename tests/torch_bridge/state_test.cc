// Random number and thread state: captured, put back, and nothing else disturbed.
#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>
#include <torch/torch.h>

#include "tests/testing/torch_versions.h"
#include "torch_bridge/rng_state.h"
#include "torch_bridge/thread_state.h"

namespace remat::torch_bridge {
namespace {

RngSnapshot snapshot_of(const at::Generator& generator) {
  RngSnapshot snapshot;
  snapshot.add(generator);
  return snapshot;
}

// With a CPU generator, which has the interface of all.
TEST(RngSnapshot, ForkRepeatsTheNumbersAndPutsTheStreamBack) {
  const at::Generator generator = at::detail::createCPUGenerator(1);
  const RngSnapshot start = snapshot_of(generator);
  const at::Tensor first = torch::rand({4}, generator);
  const RngSnapshot after = snapshot_of(generator);
  {
    RngFork fork(start);
    EXPECT_TRUE(torch::equal(torch::rand({4}, generator), first));
  }
  const at::Tensor second = torch::rand({4}, generator);
  RngFork fork(after);
  EXPECT_TRUE(torch::equal(torch::rand({4}, generator), second));
}

TEST(RngSnapshot, ForgetsGeneratorsThatHaveNotMoved) {
  const at::Generator generator = at::detail::createCPUGenerator(1);
  RngSnapshot untouched = snapshot_of(generator);
  untouched.keep_moved_only();
  EXPECT_TRUE(untouched.empty());

  RngSnapshot moved = snapshot_of(generator);
  torch::rand({1}, generator);
  moved.keep_moved_only();
  EXPECT_FALSE(moved.empty());
}

TEST(RngFork, PutsTheStreamBackWhenAnExceptionLeaves) {
  const at::Generator generator = at::detail::createCPUGenerator(2);
  const RngSnapshot start = snapshot_of(generator);
  try {
    RngFork fork(start);
    torch::rand({4}, generator);
    throw std::runtime_error("out");
  } catch (const std::runtime_error&) {
  }
  const at::Tensor next = torch::rand({4}, generator);
  EXPECT_TRUE(torch::equal(torch::rand({4}, at::detail::createCPUGenerator(2)), next));
}

TEST(ThreadStateGuard, RestoresGradientModeAndRunsWithIt) {
  const ThreadState state = ThreadState::current();
  torch::NoGradGuard no_grad;
  {
    ThreadStateGuard guard(state);
    EXPECT_TRUE(torch::GradMode::is_enabled());
  }
  EXPECT_FALSE(torch::GradMode::is_enabled());
}

TEST(ThreadStateGuard, RunsWithTheThreadCountOfTheState) {
  const int before = at::get_num_threads();
  ThreadState state = ThreadState::current();
  state.intra_op_threads = before + 1;
  {
    ThreadStateGuard guard(state);
    EXPECT_EQ(at::get_num_threads(), before + 1);
  }
  EXPECT_EQ(at::get_num_threads(), before);
}

TEST(ThreadStateGuard, SwitchesTheCastCacheOffAndOnAgain) {
  ASSERT_TRUE(at::autocast::is_autocast_cache_enabled());
  {
    ThreadStateGuard guard(ThreadState::current());
    EXPECT_FALSE(at::autocast::is_autocast_cache_enabled());
  }
  EXPECT_TRUE(at::autocast::is_autocast_cache_enabled());
}

TEST(AutocastState, IsComparedByEverythingItHolds) {
  const AutocastState state = AutocastState::current();
  EXPECT_TRUE(state == AutocastState::current());
  EXPECT_FALSE(state == state.without_cache());
}

TEST(NoAutocastGuard, ComputesInTheGivenTypeAndLeavesAutocastAsItWas) {
  const auto x = torch::ones({2, 2});
  const remat::testing::CpuAutocast autocast;
  const AutocastState state = AutocastState::current();
  {
    const NoAutocastGuard no_autocast;
    EXPECT_EQ(x.mm(x).scalar_type(), at::kFloat);
  }
  EXPECT_TRUE(state == AutocastState::current());
  EXPECT_EQ(x.mm(x).scalar_type(), at::kBFloat16);
}

TEST(AutocastGuard, IsOnWhileItLivesAndForgetsWhatWasCast) {
  using testing::CpuAutocast;
  const bool enabled = CpuAutocast::enabled();
  const at::ScalarType dtype = CpuAutocast::dtype();
  const at::Tensor x = torch::ones({2, 2}), w = torch::ones({2, 2}).requires_grad_();
  {
    const AutocastGuard autocast(at::kCPU, at::kBFloat16);
    EXPECT_TRUE(CpuAutocast::enabled());
    EXPECT_EQ(torch::mm(x, w).scalar_type(), at::kBFloat16);
    {
      const AutocastGuard inner(at::kCUDA, at::kHalf);
      EXPECT_EQ(CpuAutocast::dtype(), at::kBFloat16) << "of another device";
    }
    EXPECT_TRUE(CpuAutocast::enabled());
  }
  EXPECT_EQ(CpuAutocast::enabled(), enabled);
  EXPECT_EQ(CpuAutocast::dtype(), dtype);
  {
    const torch::NoGradGuard no_grad;
    w.fill_(2);  // behind the cache's back: it does not look at versions
  }
  const AutocastGuard autocast(at::kCPU, at::kBFloat16);
  EXPECT_EQ(torch::mm(x, w)[0][0].item<float>(), 4.0F);
}

}  // namespace
}  // namespace remat::torch_bridge

// Random number and thread state: captured, put back, and nothing else disturbed.
#include <gtest/gtest.h>

#include <ATen/autocast_mode.h>
#include <torch/torch.h>

#include "torch_bridge/rng_state.h"
#include "torch_bridge/thread_state.h"

namespace remat::torch_bridge {
namespace {

TEST(RngSnapshot, ForkRepeatsTheNumbersAndPutsTheStreamBack) {
  torch::manual_seed(1);
  const RngSnapshot start = RngSnapshot::take();
  const at::Tensor first = torch::rand({4});
  const RngSnapshot after = RngSnapshot::take();
  {
    RngFork fork(start);
    EXPECT_TRUE(torch::equal(torch::rand({4}), first));
  }
  const at::Tensor second = torch::rand({4});
  RngFork fork(after);
  EXPECT_TRUE(torch::equal(torch::rand({4}), second));
}

TEST(RngSnapshot, ForgetsGeneratorsThatHaveNotMoved) {
  RngSnapshot untouched = RngSnapshot::take();
  untouched.keep_moved_only();
  EXPECT_TRUE(untouched.empty());

  RngSnapshot moved = RngSnapshot::take();
  torch::rand({1});
  moved.keep_moved_only();
  EXPECT_FALSE(moved.empty());
}

TEST(RngFork, PutsTheStreamBackWhenAnExceptionLeaves) {
  torch::manual_seed(2);
  const RngSnapshot start = RngSnapshot::take();
  try {
    RngFork fork(start);
    torch::rand({4});
    throw std::runtime_error("out");
  } catch (const std::runtime_error&) {
  }
  const at::Tensor next = torch::rand({4});
  torch::manual_seed(2);
  EXPECT_TRUE(torch::equal(torch::rand({4}), next));
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

}  // namespace
}  // namespace remat::torch_bridge

// Exceptions of the function: they keep their type, and leave nothing behind.
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/memory.h>

#include "tests/testing/torch_versions.h"
#include "tests/testing/trace.h"

namespace remat {
namespace {

using ::testing::AllOf;
using testing::bit_identical;
using testing::CpuAutocast;
using testing::expect_same_call;
using ::testing::HasSubstr;
using testing::leaf;
using testing::Leaves;

class MyError : public std::domain_error {
 public:
  explicit MyError(int error_code) : std::domain_error("my error"), code(error_code) {}
  int code;
};

/// Expects that nothing of a failed region is left on this thread: regions work as ever.
void expect_working_regions() {
  EXPECT_FALSE(is_recomputing());
  EXPECT_TRUE(c10::GradMode::is_enabled());
  const auto fn = [](const at::Tensor& x) { return torch::dropout(x.sin(), 0.5, true).sin() + 1; };
  expect_same_call(
      {leaf({100})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
  // Outside of regions autograd saves as ever: a leftover hook would hide this change.
  at::Tensor x = leaf({3}).sin();
  const at::Tensor y = x.sin();
  x.add_(1);
  EXPECT_THROW(y.sum().backward(), c10::Error);
}

at::Tensor throws(const at::Tensor& x) {
  const at::Tensor y = x.sin().sin();
  const at::NoGradGuard no_grad;
  if (y.numel() > 0) {
    throw MyError(7);
  }
  return y;
}

TEST(Exceptions, InForwardKeepTheirTypeAndRestoreAllState) {
  try {
    checkpoint(throws, leaf({3}));
    FAIL() << "the exception is lost";
  } catch (const MyError& error) {
    EXPECT_EQ(error.code, 7);
  }
  expect_working_regions();
}

TEST(Exceptions, InForwardOfANestedRegion) {
  const auto outer = [](const at::Tensor& x) { return checkpoint(throws, x.cos()); };
  EXPECT_THROW(checkpoint(outer, leaf({3})), MyError);
  expect_working_regions();
}

TEST(Exceptions, InForwardCaughtByTheOuterRegion) {
  const auto risky = [](const at::Tensor& x) {
    const at::Tensor y = x.cos();
    try {
      return checkpoint(throws, y);
    } catch (const MyError&) {
      return y.sin();
    }
  };
  expect_same_call(
      {leaf({3})}, [](const Leaves& l) { return l[0].cos().sin(); },
      [&](const Leaves& l) { return checkpoint(risky, l[0]); });
}

TEST(Exceptions, InForwardKeepNothingAlive) {
  const MemoryTracker tracker;
  const at::Tensor x = leaf({1000});
  const Bytes before = tracker.live_bytes();
  EXPECT_THROW(checkpoint(throws, x), MyError);
  EXPECT_EQ(tracker.live_bytes(), before);
}

TEST(Exceptions, OfLibTorchItselfKeepTheirType) {
  const auto fn = [](const at::Tensor& x) { return x.sin().mm(x); };
  EXPECT_THROW(checkpoint(fn, leaf({3})), c10::Error);
  expect_working_regions();
}

/// A region that throws when it is recomputed, as long as `fails` is set.
auto failing_again(const bool& fails) {
  return [&fails](const at::Tensor& x) {
    const at::Tensor y = torch::dropout(x.sin(), 0.5, true);
    if (is_recomputing() && fails) {
      const at::NoGradGuard no_grad;
      throw MyError(9);
    }
    return y.sin();
  };
}

// Breaks if: the type is lost on the way through the engine, or a guard is missing.
TEST(Exceptions, InRecomputationKeepTheirTypeAndRestoreAllState) {
  const bool fails = true;
  const at::Tensor y = checkpoint(failing_again(fails), leaf({300}));
  const at::Tensor state = at::detail::getDefaultCPUGenerator().get_state();
  try {
    y.sum().backward();
    FAIL() << "the exception is lost";
  } catch (const MyError& error) {
    EXPECT_EQ(error.code, 9);
  }
  EXPECT_TRUE(bit_identical(state, at::detail::getDefaultCPUGenerator().get_state()));
  expect_working_regions();
}

// Breaks if: half a recomputation is taken for a whole one by the next pass.
TEST(Exceptions, InRecomputationLeaveTheRegionUsable) {
  bool fails = true;
  const at::Tensor x = leaf({300});
  torch::manual_seed(3);
  const at::Tensor y = checkpoint(failing_again(fails), x);
  EXPECT_THROW(torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true), MyError);
  fails = false;
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  torch::manual_seed(3);
  const at::Tensor plain = torch::dropout(x.sin(), 0.5, true).sin();
  EXPECT_TRUE(bit_identical(found, torch::autograd::grad({plain.sum()}, {x})[0]));
}

TEST(Exceptions, InRecomputationKeepNothingAlive) {
  const MemoryTracker tracker;
  const at::Tensor x = leaf({1000});
  const Bytes before = tracker.live_bytes();
  {
    const bool fails = true;
    const at::Tensor y = checkpoint(failing_again(fails), x);
    EXPECT_THROW(torch::autograd::grad({y.sum()}, {x}), MyError);
  }
  EXPECT_EQ(tracker.live_bytes(), before);
}

TEST(Exceptions, InRecomputationOfANestedRegion) {
  const bool fails = true;
  const auto outer = [&](const at::Tensor& x) { return checkpoint(failing_again(fails), x).sin(); };
  const at::Tensor y = checkpoint(outer, leaf({30}));
  EXPECT_THROW(y.sum().backward(), MyError);
  expect_working_regions();
}

/// What operators run under on this thread, beside their arguments.
struct Surroundings {
  bool autocast = CpuAutocast::enabled();
  at::ScalarType dtype = CpuAutocast::dtype();
  bool cast_cache = at::autocast::is_autocast_cache_enabled();
  bool grad_mode = c10::GradMode::is_enabled();
  bool recomputing = is_recomputing();
  int threads = at::get_num_threads();

  auto all() const {
    return std::make_tuple(autocast, dtype, cast_cache, grad_mode, recomputing, threads);
  }
};

// The recomputation runs under the forward's settings, which differ from backward's in everything, and
// throws inside scopes of its own.
// Breaks if: one of them is put back only when the function returns.
TEST(Exceptions, InRecomputationRestoreAutocastGradModeAndThreads) {
  const Surroundings at_start;
  Surroundings inside;
  const auto fn = [&inside](const at::Tensor& x) {
    const at::Tensor y = torch::dropout(x.sin(), 0.5, true);
    if (is_recomputing()) {
      inside = Surroundings();
      const CpuAutocast autocast;
      const at::NoGradGuard no_grad;
      throw MyError(11);
    }
    return y.sin();
  };
  at::set_num_threads(at_start.threads + 1);
  const at::Tensor loss = checkpoint(fn, leaf({300})).sum();
  at::set_num_threads(at_start.threads);
  {
    const CpuAutocast autocast;
    const at::NoGradGuard no_grad;
    const Surroundings before;
    try {
      loss.backward();
      ADD_FAILURE() << "the exception is lost";
    } catch (const MyError& error) {
      EXPECT_EQ(error.code, 11);
    }
    EXPECT_EQ(Surroundings().all(), before.all());
    EXPECT_NE(inside.autocast, before.autocast);
    EXPECT_NE(inside.cast_cache, before.cast_cache);
    EXPECT_NE(inside.grad_mode, before.grad_mode);
    EXPECT_NE(inside.threads, before.threads);
  }
  EXPECT_EQ(Surroundings().all(), at_start.all());
  expect_working_regions();
}

// ---- anomaly mode ------------------------------------------------------------------------------------

// Breaks if: the exception reaches the engine other than from the node that asked.
TEST(Exceptions, InRecomputationUnderAnomalyModeNameTheNodeAndKeepTheirType) {
  const bool fails = true;
  {
    const testing::Warnings warnings;
    const torch::autograd::DetectAnomalyGuard anomaly;
    const at::Tensor y = checkpoint(failing_again(fails), leaf({300}));
    EXPECT_THROW(y.sum().backward(), MyError);
    EXPECT_THAT(warnings.text(), HasSubstr("Error detected in SinBackward0"));
  }
  EXPECT_FALSE(torch::autograd::AnomalyMode::is_enabled());
  expect_working_regions();
}

TEST(Exceptions, OfADivergenceUnderAnomalyModeNameTheRegion) {
  const auto fewer_again = [](const at::Tensor& x) {
    return is_recomputing() ? x.sin() : x.sin().sin().sin();
  };
  CheckpointOptions options;
  options.name = "block7";
  {
    const testing::Warnings warnings;
    const torch::autograd::DetectAnomalyGuard anomaly;
    const at::Tensor y = checkpoint(options, fewer_again, leaf({3}));
    try {
      y.sum().backward();
      ADD_FAILURE() << "no error";
    } catch (const CheckpointError& error) {
      EXPECT_THAT(error.what(), HasSubstr("block7"));
    }
  }
  expect_working_regions();
}

// A gradient that is not a number: the node's name, as in plain.
TEST(Exceptions, OfAnomalyModeItselfAreThePlainOnes) {
  const auto fn = [](const at::Tensor& x) { return ((x * 0).sqrt() * 0).sin(); };
  std::string plain, checkpointed;
  const auto error_of = [](const at::Tensor& y) -> std::string {
    try {
      y.sum().backward();
    } catch (const std::exception& error) {
      return std::string(error.what()).substr(0, 60);  // before any backtrace
    }
    return "none";
  };
  {
    const testing::Warnings warnings;
    const torch::autograd::DetectAnomalyGuard anomaly;
    plain = error_of(fn(leaf({3})));
    checkpointed = error_of(checkpoint(fn, leaf({3})));
  }
  EXPECT_THAT(plain, AllOf(HasSubstr("SqrtBackward0"), HasSubstr("nan")));
  EXPECT_EQ(plain, checkpointed);
  expect_working_regions();
}

TEST(Exceptions, UnderNoGradAreTheFunctionsOwn) {
  const at::NoGradGuard no_grad;
  EXPECT_THROW(checkpoint(throws, leaf({3})), MyError);
}

}  // namespace
}  // namespace remat

// Another library in the process uses the dispatch keys that remat wants. Each case runs in a process
// of its own, because a key can be taken once and for all only.
#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

#include <torch/library.h>
#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "torch_bridge/op_interceptor.h"

namespace remat {
namespace {

void pass_on(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  op.redispatchBoxed(
      keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, c10::DispatchKey::DeferredInit),
      stack);
}

/// Stands for the other library.
void take(c10::DispatchKey key) {
  static auto& libraries =
      *new std::vector<torch::Library*>();  // for ever, as such a library would
  auto* library = libraries.emplace_back(
      new torch::Library(torch::Library::IMPL, "_", key, __FILE__, __LINE__));
  library->fallback(torch::CppFunction::makeFromBoxedFunction<&pass_on>());
}

/// A region with early stop and BatchNorm: needs to see operators. Exit status 0 if all is well.
[[noreturn]] void run_a_region_and_exit() {
  torch::nn::BatchNorm1d norm(2);
  int ops_after_last_save = 0;
  const auto x = torch::randn({4, 2}, torch::requires_grad());
  auto y = checkpoint(
      [&](at::Tensor t) {
        t = norm(t).exp() + 1;
        ++ops_after_last_save;
        return t;
      },
      x);
  y.sum().backward();
  const bool stopped_early = ops_after_last_save == 1;
  const bool counted_once = norm->num_batches_tracked.item<std::int64_t>() == 1;
  std::exit(stopped_early && counted_once ? 0 : 1);
}

class TakenKey : public ::testing::Test {
 protected:
  void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(TakenKey, RegionsUseAnotherKey) {
  EXPECT_EXIT(
      {
        take(c10::DispatchKey::DeferredInit);
        run_a_region_and_exit();
      },
      ::testing::ExitedWithCode(0), "");
}

TEST_F(TakenKey, BelowAutogradIsNotNeeded) {
  EXPECT_EXIT(
      {
        take(c10::DispatchKey::Fake);
        run_a_region_and_exit();
      },
      ::testing::ExitedWithCode(0), "");
}

void take_all_above_autograd() {
  take(c10::DispatchKey::DeferredInit);
  take(c10::DispatchKey::TESTING_ONLY_GenericMode);
}

/// A region without writes to the outside. Exit status 0 if it is exact, and runs to its end.
[[noreturn]] void run_a_region_without_early_stop_and_exit() {
  const auto x = torch::randn({40}, torch::requires_grad()), w = torch::randn({40});
  int ops_after_last_save = 0;
  const auto fn = [&](const at::Tensor& t) {
    at::Tensor y = torch::dropout((t * w).sin(), 0.5, true);
    y = torch::rrelu(y.add_(1).sin(), 0.1, 0.9, /*training=*/true) + 1;
    ++ops_after_last_save;
    return y;
  };
  const auto gradient = [&](bool checkpointed) {
    torch::manual_seed(3);
    const at::Tensor y = checkpointed ? checkpoint(fn, x) : fn(x);
    torch::rand({5});
    return torch::autograd::grad({y.sum()}, {x})[0];
  };
  const bool exact = torch::equal(gradient(false), gradient(true));
  const bool ran_to_its_end = ops_after_last_save == 3;
  const auto y = checkpoint(fn, x);
  w.add_(1);
  try {
    y.sum().backward();
  } catch (const CheckpointError&) {
    std::exit(exact && ran_to_its_end ? 0 : 1);
  }
  std::exit(2);
}

TEST_F(TakenKey, RegionsRunWithoutEarlyStopIfTheyCanOnlySeeBelowAutograd) {
  EXPECT_EXIT(
      {
        take_all_above_autograd();
        run_a_region_without_early_stop_and_exit();
      },
      ::testing::ExitedWithCode(0), "");
}

[[noreturn]] void run_a_region_and_report_its_error() {
  try {
    run_a_region_and_exit();
  } catch (const Error& error) {
    std::cerr << error.what();
    std::exit(3);
  }
}

TEST_F(TakenKey, WritesToTheOutsideAreThenRefusedByName) {
  EXPECT_EXIT(
      {
        take_all_above_autograd();
        run_a_region_and_report_its_error();
      },
      ::testing::ExitedWithCode(3),
      "writes to a tensor from outside of the region, its argument .* every dispatch key .* is taken");
}

TEST_F(TakenKey, RegionsSayWhyTheyCannotRunWithoutAnyKey) {
  EXPECT_EXIT(
      {
        take_all_above_autograd();
        take(c10::DispatchKey::Fake);
        run_a_region_and_report_its_error();
      },
      ::testing::ExitedWithCode(3), "every dispatch key .* is taken by another library");
}

}  // namespace
}  // namespace remat

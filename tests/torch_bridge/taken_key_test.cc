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

TEST_F(TakenKey, RegionsSayWhyTheyCannotRunWithoutAKey) {
  EXPECT_EXIT(
      {
        take(c10::DispatchKey::DeferredInit);
        take(c10::DispatchKey::TESTING_ONLY_GenericMode);
        try {
          run_a_region_and_exit();
        } catch (const Error& error) {
          std::cerr << error.what();
          std::exit(3);
        }
      },
      ::testing::ExitedWithCode(3), "every dispatch key .* is taken by another library");
}

}  // namespace
}  // namespace remat

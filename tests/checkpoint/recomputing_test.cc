// How code notices that it is being recomputed.
#include <string>
#include <vector>

#include <ATen/record_function.h>
#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::leaf;

TEST(IsRecomputing, IsTrueInsideARecomputationOnly) {
  std::vector<bool> inside;
  bool in_hook = true;
  const at::Tensor x = leaf({3});
  const at::Tensor y = checkpoint(
      [&inside](const at::Tensor& t) {
        inside.push_back(is_recomputing());
        return t.sin().sin();
      },
      x);
  EXPECT_FALSE(is_recomputing());
  x.register_hook([&in_hook](const at::Tensor&) { in_hook = is_recomputing(); });
  y.sum().backward();
  EXPECT_EQ(inside, (std::vector<bool>{false, true}));
  EXPECT_FALSE(in_hook) << "in backward, but outside of the region";
  EXPECT_FALSE(is_recomputing());
}

TEST(IsRecomputing, StaysTrueAfterARecomputationInsideARecomputation) {
  // The inner region's backward runs inside the outer region, in forward and in recomputation.
  std::vector<bool> after_inner_backward;
  const at::Tensor x = leaf({3});
  const auto outer = [&](const at::Tensor& t) {
    const at::Tensor y = checkpoint([](const at::Tensor& u) { return u.sin().sin(); }, t.cos());
    const auto g = torch::autograd::grad({y.sum()}, {t}, {}, /*retain_graph=*/true)[0];
    after_inner_backward.push_back(is_recomputing());
    return (t * g).sin();
  };
  checkpoint(outer, x).sum().backward();
  ASSERT_GE(after_inner_backward.size(), 2U);
  EXPECT_FALSE(after_inner_backward.front());
  EXPECT_TRUE(after_inner_backward.back());
  EXPECT_FALSE(is_recomputing());
}

// ---- profilers ---------------------------------------------------------------------------------------

thread_local std::vector<std::string> seen_names;

std::unique_ptr<at::ObserverContext> note_name(const at::RecordFunction& function) {
  seen_names.emplace_back(function.name());
  return nullptr;
}

/// The names that a profiler of this thread sees while `run` runs.
template <class Run>
std::vector<std::string> profiled(const Run& run) {
  seen_names.clear();
  const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback(note_name));
  run();
  at::removeCallback(handle);
  return seen_names;
}

std::ptrdiff_t count(const std::vector<std::string>& names, const std::string& name) {
  return std::count(names.begin(), names.end(), name);
}

// Breaks if: the mark is missing, or is set in the forward.
TEST(Profilers, SeeRecomputations) {
  const at::Tensor x = leaf({3});
  at::Tensor y;
  const auto fn = [](const at::Tensor& t) { return t.sin().sin(); };
  const auto in_forward = profiled([&] { y = checkpoint(fn, checkpoint(fn, x)); });
  const auto in_backward = profiled([&] { y.sum().backward(); });
  EXPECT_EQ(count(in_forward, "remat::recompute"), 0);
  EXPECT_EQ(count(in_backward, "remat::recompute"), 2);
  EXPECT_EQ(count(in_backward, "aten::sin"), 4) << "and what they run";
}

}  // namespace
}  // namespace remat

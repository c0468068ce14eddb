#include "torch_bridge/graph_leaves.h"

#include <gmock/gmock.h>

#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

namespace remat::torch_bridge {
namespace {

using ::testing::UnorderedElementsAre;

std::vector<const c10::TensorImpl*> leaves_of(const std::vector<at::Tensor>& outputs) {
  torch::autograd::edge_list roots;
  for (const at::Tensor& output : outputs) {
    roots.push_back(torch::autograd::impl::gradient_edge(output));
  }
  std::vector<const c10::TensorImpl*> found;
  for (const at::Tensor& leaf : leaves_below(roots)) found.push_back(leaf.unsafeGetTensorImpl());
  return found;
}

at::Tensor leaf() { return torch::ones({2}, torch::requires_grad()); }

// Breaks if: a leaf is missed, or named twice where two paths lead to it.
TEST(GraphLeaves, AreThoseThatGradientsReach) {
  const at::Tensor a = leaf(), b = leaf(), unused = leaf(), constant = torch::ones({2});
  const at::Tensor shared = (a * constant).exp();
  const auto found = leaves_of({shared * b, shared + a.detach() + unused.detach()});
  EXPECT_THAT(found, UnorderedElementsAre(a.unsafeGetTensorImpl(), b.unsafeGetTensorImpl()));
}

TEST(GraphLeaves, OfALeafIsItself) {
  const at::Tensor a = leaf();
  EXPECT_THAT(leaves_of({a}), UnorderedElementsAre(a.unsafeGetTensorImpl()));
}

TEST(GraphLeaves, AreFoundBelowDeepChains) {
  const at::Tensor a = leaf();
  at::Tensor y = a;
  for (int i = 0; i < 100'000; ++i) y = y.neg();
  EXPECT_THAT(leaves_of({y}), UnorderedElementsAre(a.unsafeGetTensorImpl()));
}

}  // namespace
}  // namespace remat::torch_bridge

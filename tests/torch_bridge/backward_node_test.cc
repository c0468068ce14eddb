#include "torch_bridge/backward_node.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

namespace remat::torch_bridge {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> seen;

/// Notes what runs, around another backward pass.
struct Nested : torch::autograd::Function<Nested> {
  static at::Tensor forward(torch::autograd::AutogradContext* /*context*/, const at::Tensor& x) {
    return x.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* /*context*/,
                                                 torch::autograd::variable_list gradients) {
    seen.push_back(backward_node_name());
    at::AutoGradMode with_gradients(true);
    const at::Tensor inner = torch::ones({2}, torch::requires_grad());
    const at::Tensor y = inner.exp();
    y.register_hook([](const at::Tensor& /*gradient*/) { seen.push_back(backward_node_name()); });
    y.sum().backward();
    seen.push_back(backward_node_name());
    return gradients;
  }
};

void pass() {
  seen.clear();
  Nested::apply(torch::ones({2}, torch::requires_grad())).sum().backward();
}

TEST(BackwardNode, IsCalledAsAutogradCallsIt) {
  const BackwardNodeScope scope, inside;
  EXPECT_EQ(backward_node_name(), "");
  pass();
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_NE(seen[0].find("Nested"), std::string::npos) << seen[0];
  EXPECT_EQ(seen[2], seen[0]) << "after a pass inside of the node";
  EXPECT_EQ(backward_node_name(), "");
}

TEST(BackwardNode, IsNotToldWithoutAScope) {
  { const BackwardNodeScope scope; }
  pass();
  EXPECT_THAT(seen, ElementsAre("", "", ""));
}

}  // namespace
}  // namespace remat::torch_bridge

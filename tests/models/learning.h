// What every model must do to be worth training.
#pragma once

#include <functional>

#include <gtest/gtest.h>

#include <torch/torch.h>

namespace remat::models::testing {

/// Expects one backward pass of `loss` to give each parameter a gradient that is not all zeros, and steps
/// of AdamW on it to bring it below `share` of what it was.
inline void expect_learns(torch::nn::Module& model, const std::function<torch::Tensor()>& loss,
                          int steps = 20, double share = 0.7) {
  torch::optim::AdamW optimizer(model.parameters(), torch::optim::AdamWOptions(1e-2));
  double first = 0;
  for (int i = 0; i < steps; ++i) {
    optimizer.zero_grad();
    const auto value = loss();
    value.backward();
    if (i == 0) {
      first = value.item<double>();
      for (const auto& parameter : model.named_parameters()) {
        const auto& gradient = parameter->grad();
        ASSERT_TRUE(gradient.defined()) << parameter.key();
        EXPECT_GT(gradient.count_nonzero().item<std::int64_t>(), 0) << parameter.key();
      }
    }
    optimizer.step();
  }
  model.eval();
  EXPECT_LT(loss().item<double>(), share * first);
}

}  // namespace remat::models::testing

// What every model must do under placements: train as without.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/placement.h>

#include "tests/testing/recomputations.h"
#include "tests/testing/trace.h"

namespace remat::models::testing {

using remat::testing::Trace;

/// What a step of a model leaves behind, beside its parameters.
template <class Make>
Trace traced_step(const Make& make,
                  const std::function<torch::Tensor(decltype(make())&)>& loss_of) {
  torch::manual_seed(7);
  auto model = make();
  const auto loss = loss_of(model);
  loss.backward();
  Trace trace = {{"loss", loss.detach()}, {"the next random number", torch::rand({1})}};
  for (const auto& parameter : model->named_parameters()) {
    trace.emplace_back("gradient of " + parameter.key(), parameter.value().grad());
  }
  for (const auto& buffer : model->named_buffers()) {
    trace.emplace_back(buffer.key(), buffer.value());
  }
  return trace;
}

/// Expects a step of a model under each placement to leave behind, bit for bit, what the plain one does:
/// gradients, buffers, random numbers; and as many regions to be recomputed as is said beside the placement.
///
/// `make()` gives the model, `loss_of(model, forward)` its loss, where forward(x) gives its logits of x.
template <class Make, class Loss>
void expect_same_under_placements(const Make& make, const Loss& loss_of,
                                  const std::vector<std::pair<std::string, int>>& placements) {
  const Trace plain = traced_step(make, [&](auto& model) {
    return loss_of([&](const torch::Tensor& x) { return model->forward(x); });
  });
  for (const auto& [text, recomputed] : placements) {
    SCOPED_TRACE(text);
    const auto placement = Placement::parse(text);
    const remat::testing::Recomputations recomputations;
    remat::testing::expect_same(
        plain, traced_step(make, [&](auto& model) {
          return loss_of([&](const torch::Tensor& x) { return model->forward(x, placement); });
        }));
    EXPECT_EQ(recomputations.count(), recomputed);
  }
}

}  // namespace remat::models::testing

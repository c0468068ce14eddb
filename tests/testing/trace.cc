#include "tests/testing/trace.h"

#include <cstring>
#include <set>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/utils.h>

#include <remat/checkpoint.h>
#include <remat/memory.h>

#include "tests/testing/recomputations.h"

namespace remat::testing {
namespace {

/// Bytes of the storages that `trace` keeps alive and `own` does not, each storage once.
Bytes bytes_held(const Trace& trace, const std::vector<at::Tensor>& own) {
  std::set<const void*> seen;
  for (const at::Tensor& tensor : own) {
    seen.insert(tensor.storage().unsafeGetStorageImpl());
  }
  Bytes held;
  for (const auto& entry : trace) {
    const at::Tensor& tensor = entry.second;
    if (tensor.defined() && seen.insert(tensor.storage().unsafeGetStorageImpl()).second) {
      held += Bytes(static_cast<std::int64_t>(tensor.storage().nbytes()));
    }
  }
  return held;
}

/// Numbers from the default generators of the CPU and of the devices that `leaves` are on.
void draw(Trace& trace, const std::string& when, const Leaves& leaves) {
  trace.emplace_back("draw after " + when, torch::rand({4}));
  std::set<std::string> drawn = {"cpu"};
  for (const at::Tensor& leaf : leaves) {
    if (drawn.insert(leaf.device().str()).second) {
      trace.emplace_back("draw on " + leaf.device().str() + " after " + when,
                         torch::rand({4}, at::TensorOptions(leaf.device())));
    }
  }
}

bool is_nonzero_gradient(const std::pair<std::string, at::Tensor>& entry) {
  return entry.first.rfind("gradient", 0) == 0 && entry.second.defined() &&
         entry.second.count_nonzero().item<std::int64_t>() > 0;
}

}  // namespace

void Calls::count() { ++(is_recomputing() ? recomputed : forward); }

std::vector<Layer> counted(const std::vector<Layer>& layers, Calls& calls) {
  std::vector<Layer> counting;
  for (const Layer& layer : layers) {
    counting.emplace_back([layer, &calls](at::Tensor x) {
      calls.count();
      return layer(std::move(x));
    });
  }
  return counting;
}

::testing::AssertionResult bit_identical(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined() || !b.defined()) {
    return a.defined() == b.defined() ? ::testing::AssertionSuccess()
                                      : ::testing::AssertionFailure()
                                            << (a.defined() ? "second" : "first")
                                            << " is undefined";
  }
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) {
    return ::testing::AssertionFailure()
           << a.toString() << a.sizes() << " and " << b.toString() << b.sizes();
  }
  const at::NoGradGuard no_grad;
  const auto left = a.contiguous().cpu(), right = b.contiguous().cpu();
  if (std::memcmp(left.data_ptr(), right.data_ptr(), left.nbytes()) == 0) {
    return ::testing::AssertionSuccess();
  }
  const auto difference = (left.to(at::kDouble) - right.to(at::kDouble)).abs().max();
  return ::testing::AssertionFailure() << "largest difference " << difference.item<double>();
}

void expect_same(const Trace& plain, const Trace& checkpointed) {
  ASSERT_EQ(plain.size(), checkpointed.size());
  int gradients = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(plain[i].first, checkpointed[i].first);
    EXPECT_TRUE(bit_identical(plain[i].second, checkpointed[i].second)) << plain[i].first;
    gradients += is_nonzero_gradient(plain[i]) ? 1 : 0;
  }
  EXPECT_GT(gradients, 0) << "the comparison proves nothing: the plain run has no gradient";
}

at::Tensor values(at::IntArrayRef sizes, std::uint64_t seed) {
  return torch::randn(sizes, at::detail::createCPUGenerator(seed), at::kFloat);
}

at::Tensor leaf(at::IntArrayRef sizes, std::uint64_t seed) {
  return values(sizes, seed).requires_grad_();
}

Trace trace_call(const Leaves& leaves, const Call& call) {
  Leaves copies;
  for (const at::Tensor& original : leaves) {
    copies.push_back(original.detach().clone().requires_grad_(original.requires_grad()));
  }
  torch::manual_seed(2);
  Trace trace;
  const at::Tensor output = call(copies);
  draw(trace, "forward", copies);
  trace.emplace_back("output", output.detach().clone());
  trace.emplace_back("output.requires_grad", torch::tensor(output.requires_grad()));
  if (output.requires_grad()) {
    output.square().sum().backward();
  }
  draw(trace, "backward", copies);
  for (std::size_t i = 0; i < copies.size(); ++i) {
    trace.emplace_back("gradient of leaf " + std::to_string(i),
                       copies[i].is_leaf() ? copies[i].grad() : at::Tensor());
    trace.emplace_back("leaf " + std::to_string(i), copies[i].detach());
  }
  return trace;
}

void expect_same_call(const Leaves& leaves, const Call& plain, const Call& checkpointed,
                      int recomputations) {
  const Trace expected = trace_call(leaves, plain);
  const Recomputations recomputed;
  expect_same(expected, trace_call(leaves, checkpointed));
  EXPECT_EQ(recomputed.count(), recomputations) << "recomputations";
}

Step train_step(const MakeModel& make, const RunLayers& run) {
  MemoryTracker tracker;
  torch::manual_seed(1);
  const Model model = make();
  std::vector<at::Tensor> own = model.modules->parameters();
  for (const at::Tensor& buffer : model.modules->buffers()) {
    own.push_back(buffer);
  }
  own.push_back(model.input);

  Step step;
  const std::vector<Layer> layers = counted(model.layers, step.calls);
  torch::manual_seed(2);
  const Bytes fixed = tracker.live_bytes();
  tracker.reset_peak();
  {
    at::Tensor output = run(layers, model.input);
    step.live_after_forward = tracker.live_bytes() - fixed;
    at::Tensor loss = output.square().mean();
    step.trace.emplace_back("output", output.detach());
    step.trace.emplace_back("loss", loss.detach());
    step.trace.emplace_back("draw after forward", torch::rand({4}));
    output.reset();
    loss.backward();
  }
  step.peak = tracker.peak_bytes() - fixed;
  step.trace.emplace_back("draw after backward", torch::rand({4}));
  for (const auto& parameter : model.modules->named_parameters()) {
    step.trace.emplace_back("gradient of " + parameter.key(), parameter.value().grad());
  }
  for (const auto& buffer : model.modules->named_buffers()) {
    step.trace.emplace_back("buffer " + buffer.key(), buffer.value());
  }
  step.leaked = tracker.live_bytes() - fixed - bytes_held(step.trace, own);
  return step;
}

std::pair<Step, Step> expect_same_as_plain(const MakeModel& make, const RunLayers& run,
                                           int recomputed) {
  Step plain = train_step(make, run_plainly);
  Step checkpointed = train_step(make, run);
  expect_same(plain.trace, checkpointed.trace);
  EXPECT_EQ(plain.calls.recomputed, 0);
  EXPECT_EQ(plain.calls.forward, checkpointed.calls.forward);
  EXPECT_EQ(checkpointed.calls.recomputed, recomputed);
  EXPECT_EQ(plain.leaked.count(), 0);
  EXPECT_EQ(checkpointed.leaked.count(), 0);
  return {std::move(plain), std::move(checkpointed)};
}

}  // namespace remat::testing

// Budgets of a CUDA device's memory. (Rule T20)
#include <functional>
#include <vector>

#include <torch/torch.h>

#include <remat/budget.h>

#include "tests/testing/cuda.h"
#include "tests/testing/torch_versions.h"
#include "torch_bridge/device_ledger.h"

namespace remat {
namespace {

using testing::kFirstCuda;

class CudaBudget : public testing::OnCuda<::testing::Test> {};

#if REMAT_TESTING_TORCH_AT_LEAST(2, 11)

constexpr std::int64_t kEffort = 20'000;

struct Training {
  Training() {
    torch::manual_seed(3);
    for (int i = 0; i < 6; ++i) {
      net->push_back(torch::nn::Linear(256, 256));
      net->push_back(torch::nn::GELU());
      net->push_back(torch::nn::Dropout(0.2));
    }
    net->to(kFirstCuda);
    input = torch::randn({1024, 256}, at::TensorOptions(kFirstCuda));
  }

  /// The gradients of a step that draws as every other one.
  void step() {
    torch::manual_seed(7);
    for (const at::Tensor& parameter : net->parameters()) {
      if (parameter.grad().defined()) parameter.mutable_grad().zero_();
    }
    net->forward(input).square().mean().backward();
  }
  std::vector<at::Tensor> gradients() {
    std::vector<at::Tensor> found;
    for (const at::Tensor& parameter : net->parameters()) found.push_back(parameter.grad().cpu());
    return found;
  }

  torch::nn::Sequential net;
  at::Tensor input;
};

TEST_F(CudaBudget, TrainsWithinItWithTheSameBits) {
  torch_bridge::MemoryLedger& ledger = torch_bridge::ledger_of(kFirstCuda, "test");
  Training training;
  training.step();
  training.step();
  const auto expected = training.gradients();
  const Bytes fixed(ledger.live_bytes());
  Bytes plain;
  {
    const torch_bridge::LedgerReader reader(ledger);
    training.step();
    plain = reader.peak();
  }
  for (const int share : {80, 60, 50}) {
    BudgetOptions options{fixed + Bytes(plain.count() * share / 100), kEffort};
    options.device = kFirstCuda;
    Budget budget(options);
    for (int i = 0; i < 6; ++i) {
      {
        const Step step(budget);
        training.step();
      }
      const auto found = training.gradients();
      for (std::size_t k = 0; k < found.size(); ++k) {
        EXPECT_TRUE(torch::equal(found[k], expected[k])) << share << " %, step " << i << ", " << k;
      }
      EXPECT_LE(budget.report().tracked_peak, options.memory) << share << " %, step " << i;
      EXPECT_GT(budget.report().replays, 0) << share << " %, step " << i;
    }
    EXPECT_TRUE(budget.report().planned) << share << " %";
  }
}

#endif

TEST_F(CudaBudget, OrSaysThatThereCanBeNone) {
  BudgetOptions options{Bytes::parse("8GiB")};
  options.device = kFirstCuda;
  try {
    const Budget budget(options);
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("remat was built without CUDA"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace remat

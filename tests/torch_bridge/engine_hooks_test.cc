#include "torch_bridge/engine_hooks.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include <torch/csrc/autograd/engine.h>
#include <torch/torch.h>

namespace remat::torch_bridge {
namespace {

/// Hooks that keep a detached alias and count their calls.
struct Counts {
  int packs = 0;
  int unpacks = 0;
};
class CountingHooks : public torch::autograd::SavedVariableHooks {
 public:
  explicit CountingHooks(Counts& counts) : counts_(counts) {}
  void call_pack_hook(const at::Tensor& tensor) override {
    ++counts_.packs;
    tensor_ = tensor.detach();
  }
  at::Tensor call_unpack_hook() override {
    ++counts_.unpacks;
    return tensor_;
  }

 private:
  Counts& counts_;
  at::Tensor tensor_;
};
class CountingProvider : public HookProvider {
 public:
  std::unique_ptr<torch::autograd::SavedVariableHooks> make_hooks() override {
    return std::make_unique<CountingHooks>(counts);
  }
  Counts counts;
};

/// A stand-in for an engine that somebody else installed, with hooks of its own (Python's has them).
class OtherEngine : public torch::autograd::Engine {
 public:
  static OtherEngine& get() {
    static auto* engine = new OtherEngine();
    return *engine;
  }
  static torch::autograd::Engine& stub() { return get(); }

  torch::autograd::variable_list execute(const torch::autograd::edge_list& roots,
                                         const torch::autograd::variable_list& inputs,
                                         bool keep_graph, bool create_graph, bool accumulate_grad,
                                         const torch::autograd::edge_list& outputs) override {
    ++executions;
    return get_base_engine().execute(roots, inputs, keep_graph, create_graph, accumulate_grad,
                                     outputs);
  }
  std::unique_ptr<torch::autograd::SavedVariableHooks> get_default_saved_variable_hooks() override {
    return hooks_on ? std::make_unique<CountingHooks>(counts) : nullptr;
  }

  std::atomic<int> executions{0};  // stays for the process, in which tests have threads
  bool hooks_on = false;
  Counts counts;
};

class EngineHooks : public ::testing::Test {
 protected:
  at::Tensor x_ = torch::full({3}, 2.0, torch::requires_grad());
  CountingProvider provider_;
};

TEST_F(EngineHooks, SeeWhatAutogradSavesAndWhatBackwardAsksFor) {
  at::Tensor y;
  {
    HookScope scope(provider_);
    y = (x_ * x_).sum();
  }
  EXPECT_EQ(provider_.counts.packs, 2);
  y.backward();
  EXPECT_EQ(provider_.counts.unpacks, 2);
  EXPECT_TRUE(torch::equal(x_.grad(), torch::full({3}, 4.0)));
}

TEST_F(EngineHooks, ApplyToOneThread) {
  HookScope scope(provider_);
  std::thread([this] { x_.exp(); }).join();
  EXPECT_EQ(provider_.counts.packs, 0);
}

TEST_F(EngineHooks, InnermostScopeWins) {
  CountingProvider inner;
  HookScope outer_scope(provider_);
  {
    HookScope inner_scope(inner);
    x_.exp();
  }
  EXPECT_EQ(inner.counts.packs, 1);
  EXPECT_EQ(provider_.counts.packs, 0);
  x_.exp();
  EXPECT_EQ(provider_.counts.packs, 1);
}

TEST_F(EngineHooks, TellWhetherTheyAreActive) {
  EXPECT_FALSE(hooks_are_active());
  HookScope scope(provider_);
  EXPECT_TRUE(hooks_are_active());
}

// As after a late `import torch`: another engine took the default over; both then work.
TEST_F(EngineHooks, ForwardToTheEngineThatWasThere) {
  { HookScope scope(provider_); }  // remat's engine is installed, then replaced
  OtherEngine& other = OtherEngine::get();
  torch::autograd::set_default_engine_stub(&OtherEngine::stub);
  at::Tensor y;
  {
    HookScope scope(provider_);
    y = x_.exp();
  }
  EXPECT_EQ(provider_.counts.packs, 1);

  other.hooks_on = true;
  EXPECT_TRUE(hooks_are_active());
  const at::Tensor z = x_.sin();
  other.hooks_on = false;
  EXPECT_EQ(other.counts.packs, 1) << "the other engine's hooks apply outside of remat's scopes";

  (y.sum() + z.sum()).backward();
  EXPECT_EQ(other.executions.load(), 1) << "backward runs on the engine that was there";
  EXPECT_EQ(other.counts.unpacks, 1);
}

}  // namespace
}  // namespace remat::torch_bridge

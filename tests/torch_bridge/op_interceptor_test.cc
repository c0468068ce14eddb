#include "torch_bridge/op_interceptor.h"

#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

namespace remat::torch_bridge {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

/// Notes the names of the operators it sees, each as `prefix + name`.
class Recorder : public OpInterceptor {
 public:
  explicit Recorder(std::vector<std::string>& names, std::string prefix = "")
      : names_(names), prefix_(std::move(prefix)) {}
  void intercept(OpCall& call) override {
    names_.push_back(prefix_ + call.op().schema().name());
    call.proceed();
  }

 private:
  std::vector<std::string>& names_;
  std::string prefix_;
};

class OpInterceptors : public ::testing::Test {
 protected:
  std::vector<std::string> names_;
  at::Tensor x_ = torch::ones({2, 3}, torch::requires_grad());
};

// A release of LibTorch that drops or occupies the keys must fail here, not in a user's program.
TEST_F(OpInterceptors, BothDispatchKeysAreFree) {
  EXPECT_EQ(interception_obstacle(OpLevel::kAboveAutograd), "");
  EXPECT_EQ(interception_obstacle(OpLevel::kBelowAutograd), "");
}

TEST_F(OpInterceptors, SeeCompositeOperatorsAboveAutogradAndTheirPartsBelow) {
  const auto weight = torch::ones({4, 3});
  std::vector<std::string> below;
  Recorder above_recorder(names_), below_recorder(below);
  {
    InterceptorScope above(OpLevel::kAboveAutograd, above_recorder);
    InterceptorScope under(OpLevel::kBelowAutograd, below_recorder);
    at::matmul(x_, weight.t());
  }
  EXPECT_THAT(names_, Contains("aten::matmul"));
  EXPECT_THAT(below, Not(Contains("aten::matmul")));
  EXPECT_THAT(below, Contains("aten::mm"));
}

TEST_F(OpInterceptors, SeeNothingOutsideTheirScope) {
  Recorder recorder(names_);
  { InterceptorScope scope(OpLevel::kAboveAutograd, recorder); }
  x_.exp();
  EXPECT_THAT(names_, IsEmpty());
}

TEST_F(OpInterceptors, AreAskedInnermostFirst) {
  Recorder outer(names_, "outer "), inner(names_, "inner ");
  InterceptorScope outer_scope(OpLevel::kBelowAutograd, outer);
  {
    InterceptorScope inner_scope(OpLevel::kBelowAutograd, inner);
    x_.exp();
  }
  x_.sin();
  EXPECT_THAT(names_, ElementsAre("inner aten::exp", "outer aten::exp", "outer aten::sin"));
}

TEST_F(OpInterceptors, DoNotChangeResults) {
  Recorder recorder(names_);
  const at::Tensor plain = x_.exp().matmul(x_.t());
  InterceptorScope scope(OpLevel::kAboveAutograd, recorder);
  EXPECT_TRUE(torch::equal(x_.exp().matmul(x_.t()), plain));
}

TEST_F(OpInterceptors, CanReplaceAnOperatorByAnException) {
  struct Refuse : OpInterceptor {
    void intercept(OpCall& call) override {
      if (call.op().schema().name() == "aten::exp") {
        throw std::runtime_error("no exp");
      }
      call.proceed();
    }
  } refuse;
  InterceptorScope scope(OpLevel::kAboveAutograd, refuse);
  EXPECT_THROW(x_.exp(), std::runtime_error);
  EXPECT_NO_THROW(x_.sin());
}

TEST_F(OpInterceptors, ArePausedByAGuard) {
  Recorder recorder(names_);
  InterceptorScope scope(OpLevel::kAboveAutograd, recorder);
  {
    InterceptorPause pause;
    x_.exp();
  }
  x_.sin();
  EXPECT_THAT(names_, ElementsAre("aten::sin"));
}

TEST_F(OpInterceptors, BelongToOneThread) {
  Recorder recorder(names_);
  InterceptorScope scope(OpLevel::kAboveAutograd, recorder);
  std::thread([this] { x_.exp(); }).join();
  EXPECT_THAT(names_, IsEmpty());
}

TEST_F(OpInterceptors, TellOperatorsInsideAutogradsKernelsFromThoseAbove) {
  struct Depths : OpInterceptor {
    std::vector<std::string> above;
    void intercept(OpCall& call) override {
      if (is_above_autograd()) {
        above.push_back(call.op().schema().name());
      }
      call.proceed();
    }
  } depths;
  InterceptorScope scope(OpLevel::kAboveAutograd, depths);
  at::rrelu(x_, 0.1, 0.9, true);
  EXPECT_THAT(depths.above, Contains("aten::rrelu"));
  EXPECT_THAT(depths.above, Contains("aten::rrelu_with_noise"));
  EXPECT_THAT(depths.above, Not(Contains("aten::uniform_")));
}

}  // namespace
}  // namespace remat::torch_bridge

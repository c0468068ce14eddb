// What the graph of a step calls its operators and values.
#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/memory.h>

namespace remat {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

/// Attention over the rows of x, in miniature: two linear layers, what is between them reads no parameter.
struct BlockImpl : torch::nn::Module {
  BlockImpl()
      : in(register_module("in", torch::nn::Linear(32, 32))),
        out(register_module("out", torch::nn::Linear(32, 32))) {}
  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor hidden = in->forward(x).softmax(-1);
    return out->forward(names ? remat::name(hidden, "weights") : hidden);
  }
  torch::nn::Linear in, out;
  bool names = true;
};
TORCH_MODULE(Block);

struct NetImpl : torch::nn::Module {
  NetImpl() {
    register_module("blocks", blocks);
    for (int i = 0; i < 3; ++i) blocks->push_back(Block());
    scale = register_parameter("scale", torch::ones({32}));
  }
  at::Tensor forward(at::Tensor x) {
    for (const auto& block : *blocks) x = block->as<BlockImpl>()->forward(x);
    return (x * scale).square().mean();
  }
  torch::nn::ModuleList blocks;
  at::Tensor scale;
};
TORCH_MODULE(Net);

class NamesTest : public ::testing::Test {
 protected:
  NamesTest() { use_huge_page_allocator(); }

  void step() {
    Step step(budget_);
    net_->forward(torch::randn({16, 32})).backward();
  }

  std::vector<std::string> op_names() const {
    std::vector<std::string> names;
    for (const GraphOp& op : budget_.graph()->ops) names.push_back(op.name);
    return names;
  }

  const GraphValue* value_called(const std::string& name) const {
    const auto& values = budget_.graph()->values;
    const auto found = std::find_if(values.begin(), values.end(),
                                    [&](const GraphValue& value) { return value.name == name; });
    return found != values.end() ? &*found : nullptr;
  }

  Budget budget_{{Bytes::parse("1GiB")}};
  Net net_;
};

TEST_F(NamesTest, OperatorsAreCalledAfterTheParametersThatTheyRead) {
  budget_.name_parameters(*net_);
  step();
  EXPECT_THAT(op_names(), Contains("blocks.0.in: aten::addmm"));
  EXPECT_THAT(op_names(), Contains("blocks.2.out: aten::addmm"));
  EXPECT_THAT(op_names(), Contains("scale: aten::mul.Tensor"));
  // The backward of a linear layer asks for its weight.
  EXPECT_THAT(op_names(), Contains("blocks.1.out: AddmmBackward0"));
}

TEST_F(NamesTest, WhatReadsNoParameterIsPartOfTheModuleAround) {
  net_->blocks[1]->as<BlockImpl>()->names = false;
  budget_.name_parameters(*net_);
  step();
  EXPECT_THAT(op_names(), Contains("blocks.1: aten::_softmax"));
  EXPECT_THAT(op_names(), Contains("blocks.1: SoftmaxBackward0")) << "it asks for the softmax";
}

TEST_F(NamesTest, ValuesThatTheUserNames) {
  budget_.name_parameters(*net_);
  step();
  EXPECT_THAT(op_names(), Contains("blocks.1.weights: aten::_softmax"));
  const GraphValue* value = value_called("blocks.1.weights");
  ASSERT_NE(value, nullptr);
  EXPECT_EQ(value->dtype, "Float");
  EXPECT_EQ(value->shape, (std::vector<std::int64_t>{16, 32}));
}

TEST_F(NamesTest, WithoutAModuleThereAreOnlyTheUsersNames) {
  step();
  EXPECT_THAT(op_names(), Contains("weights: aten::_softmax"));
  EXPECT_THAT(op_names(), Contains("aten::addmm"));
  EXPECT_THAT(op_names(), Each(Not(HasSubstr("blocks"))));
}

TEST_F(NamesTest, APathIsTakenAsItIs) {
  budget_.name_parameters(*net_);
  {
    Step step(budget_);
    const at::Tensor y = name(net_->blocks[0]->as<BlockImpl>()->in->forward(torch::randn({4, 32})),
                              "somewhere.else");
    y.exp().sum().backward();
  }
  EXPECT_NE(value_called("somewhere.else"), nullptr);
}

// What is done in place to a named value does not take its name away.
TEST_F(NamesTest, NamesOutliveWhatIsDoneInPlace) {
  {
    Step step(budget_);
    at::Tensor y = name(torch::ones({8}, torch::requires_grad()) * 2, "early");
    y.mul_(3).sin().sum().backward();
  }
  EXPECT_NE(value_called("early"), nullptr);
}

TEST_F(NamesTest, WhatIsSharedHasItsFirstName) {
  net_->register_module("again", net_->blocks->ptr(0));
  budget_.name_parameters(*net_);
  step();
  EXPECT_THAT(op_names(), Contains("blocks.0.in: aten::addmm"));
  EXPECT_THAT(op_names(), Each(Not(HasSubstr("again"))));
}

TEST_F(NamesTest, TheStepOutsideOfAutogradIsToldApart) {
  torch::optim::SGD optimizer(net_->parameters(), 0.1);
  {
    Step step(budget_);
    net_->forward(torch::randn({16, 32})).backward();
    optimizer.step();
  }
  EXPECT_EQ(op_names().back(), "no_grad");
}

TEST(Name, DoesNothingWithoutAStep) {
  const at::Tensor x = torch::ones({3});
  EXPECT_TRUE(name(x, "x").is_same(x));
  EXPECT_FALSE(name(at::Tensor(), "nothing").defined());
}

}  // namespace
}  // namespace remat

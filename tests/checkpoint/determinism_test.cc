// What a recomputation that does something else leads to, at each level of Determinism.
#include <limits>

#include <gmock/gmock.h>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using ::testing::AllOf;
using testing::expect_same_call;
using ::testing::HasSubstr;
using testing::leaf;
using testing::Leaves;

CheckpointOptions at_level(Determinism determinism) {
  CheckpointOptions options;
  options.determinism = determinism;
  return options;
}

/// The text of the CheckpointError that backward from `y` throws, or "none".
std::string backward_error(const at::Tensor& y) {
  try {
    y.sum().backward();
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "none";
}

at::Tensor fewer_again(const at::Tensor& x) {
  return is_recomputing() ? x.sin() : x.sin().sin().sin();
}

at::Tensor more_again(const at::Tensor& x) {
  return is_recomputing() ? x.sin().sin().sin() : x.sin();
}

TEST(CheckpointError, TellsHowManyTensorsWereSavedIfFewer) {
  EXPECT_THAT(backward_error(checkpoint(fewer_again, leaf({4}))),
              AllOf(HasSubstr("different number of tensors"), HasSubstr("3"), HasSubstr("1")));
}

TEST(CheckpointError, FewerTensorsAreAnErrorAtEveryLevel) {
  EXPECT_NE(backward_error(checkpoint(at_level(Determinism::kNone), fewer_again, leaf({4}))),
            "none");
  EXPECT_NE(backward_error(checkpoint(at_level(Determinism::kValues), fewer_again, leaf({4}))),
            "none");
}

// Early stop ends the recomputation before it can save more.
TEST(CheckpointError, MoreTensorsAreAnErrorWithoutEarlyStop) {
  CheckpointOptions options;
  options.early_stop = false;
  EXPECT_THAT(backward_error(checkpoint(options, more_again, leaf({4}))),
              HasSubstr("number of tensors"));
  const at::Tensor x = leaf({4});
  EXPECT_EQ(backward_error(checkpoint(more_again, x)), "none");
  EXPECT_TRUE(testing::bit_identical(x.grad(), x.detach().cos()));
}

// ---- metadata --------------------------------------------------------------------------------------

/// A region whose second saved tensor is made by `change` when it is recomputed. The change is made
/// outside autograd, so that both passes save the same number of tensors.
template <class Change>
auto changed_again(Change change) {
  return [change](const at::Tensor& x) {
    at::Tensor factor;
    {
      const at::NoGradGuard no_grad;
      factor = torch::ones({4, 4});
      if (is_recomputing()) {
        factor = change(factor);
      }
    }
    return x.sin() * factor;
  };
}

template <class Change>
std::string error_after(Change change, Determinism level = Determinism::kMetadata) {
  return backward_error(checkpoint(at_level(level), changed_again(change), leaf({4, 4})));
}

TEST(CheckpointError, NamesMetadataAndPositionOfAnotherShape) {
  const auto shorter = [](const at::Tensor& t) { return t.narrow(0, 0, 1); };
  EXPECT_THAT(error_after(shorter), AllOf(HasSubstr("metadata"), HasSubstr("position"),
                                          HasSubstr("(4, 4)"), HasSubstr("(1, 4)")));
}

TEST(CheckpointError, NamesMetadataOfAnotherDtype) {
  EXPECT_THAT(error_after([](const at::Tensor& t) { return t.to(at::kDouble); }),
              AllOf(HasSubstr("metadata"), HasSubstr("position"), HasSubstr("dtype=Float"),
                    HasSubstr("dtype=Double")));
}

TEST(CheckpointError, NamesMetadataOfOtherStrides) {
  EXPECT_THAT(error_after([](const at::Tensor& t) { return t.t(); }),
              AllOf(HasSubstr("metadata"), HasSubstr("position"), HasSubstr("strides=(4, 1)"),
                    HasSubstr("strides=(1, 4)")));
}

/// a + b, saving both whether or not they require a gradient.
struct SavesBoth : torch::autograd::Function<SavesBoth> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& a,
                            const at::Tensor& b) {
    context->save_for_backward({a, b});
    return a + b;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    static_cast<void>(context->get_saved_variables());
    return {gradients[0], gradients[0]};
  }
};

TEST(CheckpointError, NamesMetadataOfAnotherRequiresGrad) {
  const auto fn = [](const at::Tensor& x) {
    const at::Tensor y = x.sin();
    return SavesBoth::apply(is_recomputing() ? y.detach() : y, x);
  };
  EXPECT_THAT(backward_error(checkpoint(fn, leaf({4}))),
              AllOf(HasSubstr("metadata"), HasSubstr("position"), HasSubstr("requires_grad=true"),
                    HasSubstr("requires_grad=false")));
}

/// a, saving b.
struct SavesSecond : torch::autograd::Function<SavesSecond> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& a,
                            const at::Tensor& b) {
    context->save_for_backward({b});
    return a.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    static_cast<void>(context->get_saved_variables());
    return {gradients[0], at::Tensor()};
  }
};

/// The error of a region that saves a (2, 2) of ones, in recomputation one with other options.
std::string error_after_other_options(const at::TensorOptions& options) {
  const auto fn = [options](const at::Tensor& x) {
    const at::Tensor made = torch::ones({2, 2}, is_recomputing() ? options : at::TensorOptions());
    return SavesSecond::apply(x, made);
  };
  return backward_error(checkpoint(fn, leaf({4})));
}

TEST(CheckpointError, NamesMetadataOfAnotherDevice) {
  EXPECT_THAT(error_after_other_options(at::kMeta),
              AllOf(HasSubstr("metadata"), HasSubstr("position"), HasSubstr("device=cpu"),
                    HasSubstr("device=meta")));
  EXPECT_EQ(error_after_other_options(at::kCPU), "none");
}

TEST(CheckpointError, NamesMetadataOfAnotherLayout) {
  const auto fn = [](const at::Tensor& x) {
    const at::Tensor made = torch::ones({2, 2});
    return SavesSecond::apply(x, is_recomputing() ? made.to_sparse() : made);
  };
  EXPECT_THAT(backward_error(checkpoint(fn, leaf({4}))), HasSubstr("metadata"));
}

// Breaks if: tensors of one size may stand in for each other.
TEST(CheckpointError, NamesTheOperatorsThatSavedInAnotherOrder) {
  const auto fn = [](const at::Tensor& x) {
    return is_recomputing() ? x.exp().sin().cos() : x.exp().cos().sin();
  };
  EXPECT_THAT(backward_error(checkpoint(fn, leaf({4}))),
              AllOf(HasSubstr("position 1"), HasSubstr("aten::cos"), HasSubstr("aten::sin")));
  EXPECT_EQ(backward_error(checkpoint(at_level(Determinism::kNone), fn, leaf({4}))), "none");
}

TEST(CheckpointError, OtherMetadataIsAcceptedAtLevelNone) {
  EXPECT_EQ(error_after([](const at::Tensor& t) { return t.t(); }, Determinism::kNone), "none");
}

TEST(CheckpointError, OtherMetadataIsAnErrorAtLevelValues) {
  EXPECT_THAT(error_after([](const at::Tensor& t) { return t.t(); }, Determinism::kValues),
              HasSubstr("metadata"));
}

// ---- values ----------------------------------------------------------------------------------------

at::Tensor one_element_off(const at::Tensor& t) {
  at::Tensor other = t.clone();
  other[2][3] = 1.0000001F;
  return other;
}

// Breaks if: the hash reads only a part, or is taken of metadata.
TEST(CheckpointError, OneOtherBitIsAnErrorAtLevelValues) {
  EXPECT_THAT(error_after(one_element_off, Determinism::kValues),
              AllOf(HasSubstr("values"), HasSubstr("position")));
}

TEST(CheckpointError, OtherValuesAreAcceptedBelowLevelValues) {
  EXPECT_EQ(error_after(one_element_off, Determinism::kMetadata), "none");
  EXPECT_EQ(error_after(one_element_off, Determinism::kNone), "none");
}

TEST(CheckpointError, LevelValuesAcceptsEqualBits) {
  const auto fn = [](const at::Tensor& x) {
    // NaN, which does not equal itself, and strided and empty tensors.
    const at::Tensor nan = torch::full({3, 4}, std::numeric_limits<float>::quiet_NaN());
    return (x * nan.t()).sin().nan_to_num(0.5) + (x.t() * x.t()).t().sin() +
           (x.narrow(0, 0, 0) * x.narrow(0, 0, 0)).sum() + x.expand({2, 4, 3}).mul(x).sum(0);
  };
  expect_same_call(
      {leaf({4, 3})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(at_level(Determinism::kValues), fn, l[0]); });
}

TEST(CheckpointError, LevelValuesDetectsRandomNumbersThatAreNotPreserved) {
  CheckpointOptions options = at_level(Determinism::kValues);
  options.preserve_rng_state = false;
  const auto fn = [](const at::Tensor& x) { return torch::dropout(x, 0.5, true).sin(); };
  EXPECT_NE(backward_error(checkpoint(options, fn, leaf({300}))), "none");
}

// ---- the message -----------------------------------------------------------------------------------

TEST(CheckpointError, NamesTheRegion) {
  CheckpointOptions options;
  options.name = "block3.attention";
  EXPECT_THAT(backward_error(checkpoint(options, fewer_again, leaf({4}))),
              HasSubstr("block3.attention"));
}

TEST(CheckpointError, ShowsTheOperatorsOfBothPassesUnderDebug) {
  CheckpointOptions options;
  options.debug = true;
  const auto fn = [](const at::Tensor& x) {
    return is_recomputing() ? x.exp().sigmoid() : x.exp().tanh().atan();
  };
  EXPECT_THAT(
      backward_error(checkpoint(options, fn, leaf({4}))),
      AllOf(HasSubstr("exp"), HasSubstr("tanh"), HasSubstr("sigmoid"), HasSubstr("->     1")));
}

TEST(CheckpointError, IsARematErrorAndARuntimeError) {
  EXPECT_TRUE((std::is_base_of_v<Error, CheckpointError>));
  EXPECT_TRUE((std::is_base_of_v<std::runtime_error, Error>));
}

TEST(CheckpointError, LeavesEverythingUsable) {
  const at::Tensor x = leaf({300});
  torch::manual_seed(3);
  const at::Tensor bad =
      checkpoint([](const at::Tensor& t) { return fewer_again(torch::dropout(t, 0.5, true)); }, x);
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const at::Tensor state = generator.get_state();
  const at::Tensor next_draw = torch::rand({4});
  generator.set_state(state);
  EXPECT_NE(backward_error(bad), "none");
  EXPECT_FALSE(is_recomputing());
  EXPECT_TRUE(c10::GradMode::is_enabled());
  EXPECT_TRUE(testing::bit_identical(torch::rand({4}), next_draw));
  const auto fn = [](const at::Tensor& t) { return t.sin().sin(); };
  expect_same_call(
      {leaf({4})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

}  // namespace
}  // namespace remat

#include "tests/tape/budget_harness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "tests/tape/zoo_making.h"
#include "tests/testing/trace.h"

namespace remat::testing {
namespace {

// Activations of 1 MiB each, parameters of 64 KiB.
ZooModel wide() {
  return zoo_model("Wide", [] {
    const auto w = weight({128, 128});
    const auto x = normal({2048, 128});
    const auto count = torch::zeros({1});
    return ZooParts{{w},
                    [=](int step) {
                      count.add_(1);
                      return loss_of(torch::dropout(x(step).mm(w).tanh(), 0.1, true).mm(w));
                    },
                    {count}};
  });
}

// ---- what differs is named -------------------------------------------------------------------------

// Trains as `wide` does, but for what `disturb` does within the last step.
std::string difference_after(const std::function<void(ZooStep& model)>& disturb) {
  const TrainingOptions options{ZooOptimizer::kSgdMomentum, /*steps=*/2};
  auto model = wide();
  const auto plain = train(model, options);
  ZooStep* made = nullptr;
  model.make = [&made, make = model.make] {
    auto step = make();
    made = step.get();
    return step;
  };
  int step = 0;
  return first_difference(plain, train(model, options, [&](const auto& run) {
                            run();
                            if (++step == 2) disturb(*made);
                          }));
}

void change_one(at::Tensor tensor) {
  const torch::NoGradGuard no_grad;
  tensor.flatten()[5] = 0.5;
}

TEST(BudgetHarness, FindsNoDifferenceWhereThereIsNone) {
  EXPECT_EQ(difference_after([](ZooStep&) {}), "");
}

TEST(BudgetHarness, NamesTheStepTheTensorAndTheElementThatDiffer) {
  EXPECT_THAT(
      difference_after([](ZooStep& model) { change_one(model.parameters()[0].grad()); }),
      ::testing::MatchesRegex("step 1, gradient 0 of 1 \\(128, 128\\): element 5 of 16384 is "
                              "0.5, expected .*"));
  EXPECT_THAT(
      difference_after([](ZooStep& model) { change_one(model.parameters()[0]); }),
      ::testing::StartsWith("step 1, parameter 0 of 1 (128, 128): element 5 of 16384 is 0.5"));
  EXPECT_EQ(difference_after([](ZooStep& model) { model.buffers()[0].add_(1); }),
            "step 1, buffer 0 of 1 (1): element 0 of 1 is 3, expected 2");
  EXPECT_THAT(difference_after([](ZooStep&) { torch::rand({1}); }),
              ::testing::StartsWith("step 1, generator 0 of 1"));
  EXPECT_EQ(difference_after([](ZooStep& model) { model.parameters()[0].mutable_grad().reset(); }),
            "step 1, gradient 0 of 1 (128, 128): is undefined");
}

// torch::equal says that they are the same.
TEST(BudgetHarness, TellsMinusZeroFromZero) {
  auto model = wide();
  model.make = [make = model.make] {
    auto step = make();
    step->buffers()[0].fill_(-1);
    return step;
  };
  const TrainingOptions options{ZooOptimizer::kSgdMomentum, /*steps=*/1};
  const auto plain = train(model, options);
  auto other = plain;
  other[0].buffers[0].bits[3] = static_cast<char>(0x80);  // the sign of a little-endian float
  EXPECT_EQ(first_difference(plain, other),
            "step 0, buffer 0 of 1 (1): element 0 of 1 is -0, expected 0");
}

// ---- bytes -----------------------------------------------------------------------------------------

TEST(BudgetHarness, CountsWhatIsLiveBeforeAStepAndItsPeak) {
  const auto training = train(wide(), {ZooOptimizer::kAdamW, /*steps=*/3});
  const std::int64_t weights = 128 * 128 * 4, data = 2 * 2048 * 128 * 4,
                     activation = 2048 * 128 * 4;
  const auto fixed = [&](std::size_t step) { return training[step].fixed.count(); };
  EXPECT_NEAR(static_cast<double>(fixed(0)), weights + data, 1024.0);
  const auto with_gradient_and_moments = 4 * weights + data;
  EXPECT_NEAR(static_cast<double>(fixed(1)), with_gradient_and_moments, 1024.0);
  EXPECT_EQ(fixed(2), fixed(1));
  for (const auto& step : training) EXPECT_GE(step.peak, step.backward_peak);
  // Saved are four: tanh twice, the noise, the product dropped out; the rest is made on the way.
  EXPECT_GE(activation_peak(training).count(), 4 * activation);
  EXPECT_LE(activation_peak(training).count(), 9 * activation);
  const auto half = budget_of(training, 0.5);
  EXPECT_EQ(half.count(), fixed(2) + activation_peak(training).count() / 2);
}

// Recording costs no tracked byte: the fixed bytes do not grow from step to step.
TEST(BudgetHarness, ReleasesGradientsWhereAsked) {
  TrainingOptions options{ZooOptimizer::kSgdMomentum, /*steps=*/4};
  const auto kept = train(wide(), options);
  options.release_gradients = true;
  const auto released = train(wide(), options);
  expect_equal(kept, released);
  EXPECT_EQ(kept[3].fixed, kept[1].fixed);
  EXPECT_EQ(released[3].fixed, released[1].fixed);
  EXPECT_EQ((kept[3].fixed - released[3].fixed).count(), 128 * 128 * 4);
}

// ---- a run that is not plain -----------------------------------------------------------------------

ZooModel in_a_region(bool& on) {
  return zoo_model("Region", [&on] {
    const auto w = weight({128, 128});
    const auto x = normal({2048, 128});
    const auto layer = [w](const at::Tensor& y) {
      return torch::gelu(torch::dropout(y.mm(w), 0.1, true)).mm(w);
    };
    return ZooParts{{w}, [=, &on](int step) {
                      auto y = x(step);
                      for (int i = 0; i < 4; ++i) y = on ? checkpoint(layer, y) : layer(y);
                      return loss_of(y);
                    }};
  });
}

// As a budget will: around the step, with another peak and the same bits.
TEST(BudgetHarness, ComparesARunThatDropsActivations) {
  bool on = false;
  const auto model = in_a_region(on);
  const auto plain = train(model, {});
  const auto dropped = train(model, {}, [&on](const auto& step) {
    on = true;
    step();
    on = false;
  });
  expect_equal(plain, dropped);
  EXPECT_LT(activation_peak(dropped), activation_peak(plain));
}

}  // namespace
}  // namespace remat::testing

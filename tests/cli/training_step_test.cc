// What the flags of a training step do to it, seen from the program.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <torch/torch.h>

#include "cli/exit_status.h"
#include "cli/workload.h"
#include "tests/cli/run_here.h"
#include "tests/cli/small_runs.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::content_of;
using ::remat::testing::lines_of;
using ::remat::testing::run_here;
using ::remat::testing::TemporaryFile;
using ::remat::testing::tiny;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class TrainingStep : public remat::testing::SmallRuns {
 protected:
  // Larger than usual, and the same in every call of the model.
  RunOptions options() const {
    auto options = SmallRuns::options();
    options.model.dropout = 0;
    options.batch = 4;
    return options;
  }

  Json summary(const Arguments& more) const { return result("train", more); }
};

double largest_difference(const std::vector<torch::Tensor>& a,
                          const std::vector<torch::Tensor>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, (a[i] - b[i]).abs().max().item<double>());
  }
  return largest;
}

double norm_of(const std::vector<torch::Tensor>& tensors) {
  double sum = 0;
  for (const auto& tensor : tensors) sum += tensor.to(torch::kDouble).square().sum().item<double>();
  return std::sqrt(sum);
}

TEST_F(TrainingStep, AccumulatesTheGradientOfTheWholeBatch) {
  Workload whole(options());
  auto split = options();
  split.batch = 1;
  split.step.accumulate = 4;
  Workload parts(split);
  EXPECT_EQ(parts.tokens_per_step(), whole.tokens_per_step());
  const auto batch = whole.next_batch();
  const auto same_batch = parts.next_batch();
  ASSERT_TRUE(torch::equal(batch.inputs, same_batch.inputs));
  const auto step = whole.plain_step(batch);
  const auto step_of_parts = parts.plain_step(same_batch);
  EXPECT_NEAR(step.loss, step_of_parts.loss, 1e-5);
  EXPECT_LT(largest_difference(whole.gradients(), parts.gradients()), 1e-6);
  EXPECT_GT(norm_of(whole.gradients()), 0.1);
}

TEST_F(TrainingStep, ClipsTheNormOfAllGradientsTogether) {
  auto clipped = options();
  clipped.step.clip = 0.01;
  Workload workload(clipped), free(options());
  const auto batch = workload.next_batch();
  const auto step = workload.plain_step(batch);
  free.plain_step(batch);
  EXPECT_NEAR(step.gradient_norm, norm_of(free.gradients()), 1e-4);
  EXPECT_NEAR(norm_of(workload.gradients()), 0.01, 1e-5);
}

TEST_F(TrainingStep, DecaysMatricesOnly) {
  auto decaying = options();
  decaying.step.weight_decay = 10;
  Workload with(decaying);
  auto none = options();
  none.step.weight_decay = 0;
  Workload without(none);
  const auto batch = with.next_batch();
  with.plain_step(batch);
  without.plain_step(batch);
  const auto a = with.named_parameters(), b = without.named_parameters();
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(torch::equal(a[i].second, b[i].second), a[i].second.dim() < 2) << a[i].first;
  }
}

TEST_F(TrainingStep, ValidatesOnTextThatIsNotTrainedOnAndMovesNoGenerator) {
  const auto plain = summary({"--val-fraction", "0.1"});
  const auto often = summary({"--val-fraction", "0.1", "--val-every", "1"});
  EXPECT_EQ(plain.at("final_loss"), often.at("final_loss"));
  EXPECT_EQ(plain.at("validation_loss"), often.at("validation_loss"));
  EXPECT_GT(plain.at("validation_loss").get<double>(), 0.0);
  EXPECT_FALSE(summary({}).contains("validation_loss"));
}

TEST_F(TrainingStep, ShowsRateNormAndValidation) {
  const auto run = run_here(tiny("train", text_,
                                 {"--warmup", "24", "--min-lr", "0", "--decay-steps", "99",
                                  "--clip", "0.5", "--val-fraction", "0.1"}));
  EXPECT_EQ(run.status, kDone) << run.err;
  const auto line = lines_of(run.err).back();
  for (const char* field : {"val ", "lr 1.50e-03", "norm "}) EXPECT_THAT(line, HasSubstr(field));
  EXPECT_THAT(run.out, HasSubstr("validation  "));
}

TEST_F(TrainingStep, ResumesWithScheduleClippingAccumulationAndValidation) {
  const TemporaryFile straight(""), halves("");
  Arguments flags = {"--warmup", "4",   "--min-lr",     "1e-4", "--decay-steps",  "12",
                     "--clip",   "0.5", "--accumulate", "2",    "--val-fraction", "0.1",
                     "--save"};
  const auto with = [&flags](const Arguments& more) {
    auto all = flags;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  summary(with({straight.path()}));
  summary(with({halves.path(), "--steps", "5"}));
  summary(with({halves.path(), "--resume", halves.path()}));
  EXPECT_EQ(content_of(straight.path()), content_of(halves.path()));
  const auto other = run_here(tiny("train", text_, {"--steps", "13", "--resume", halves.path()}));
  EXPECT_EQ(other.status, kUsage);
  EXPECT_THAT(other.err, HasSubstr("--accumulate 2, not with --accumulate 1"));
}

TEST_F(TrainingStep, RefusesFlagsThatDoNotGoTogether) {
  expect_usage_errors(
      "train",
      {
          {{"--min-lr", "1"}, "--min-lr 1: is above --lr 0.003"},
          {{"--min-lr", "0", "--warmup", "13"}, "--warmup 13: ends after step 12"},
          {{"--decay-steps", "5"}, "--decay-steps 5 needs --min-lr"},
          {{"--val-every", "5"}, "--val-every 5 needs --val-fraction"},
          {{"--val-fraction", "0.001"}, "--val-fraction 0.001: keeps 9 of the text's 9000 bytes"},
          {{"--val-fraction", "1"}, "--val-fraction 1: keeps 9000"},
          {{"--val-fraction", "1e-9"}, "keeps 0 of the text"},
          {{"--val-fraction", "1e300"}, "--val-fraction"},
          {{"--clip", "-1"}, "--clip"},
          {{"--accumulate", "0"}, "--accumulate"},
      });
}

TEST_F(TrainingStep, IsVerifiedWithAccumulationAndClipping) {
  const auto run = run_here(
      tiny("verify", text_,
           {"--json", "--repeat", "1", "--accumulate", "2", "--clip", "0.1", "--policy", "full"}));
  EXPECT_EQ(run.status, kDone) << run.err;
  EXPECT_EQ(Json::parse(run.out).at("runs").at(0).at("recomputed_calls"), 8);
}

}  // namespace
}  // namespace remat::cli

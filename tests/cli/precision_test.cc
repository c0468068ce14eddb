#include "cli/precision.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

#include "cli/exit_status.h"
#include "cli/state_file.h"
#include "cli/training_state.h"
#include "cli/workload.h"
#include "tests/cli/run_here.h"
#include "tests/cli/small_runs.h"
#include "tests/testing/torch_versions.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::content_of;
using ::remat::testing::joined;
using ::remat::testing::run_here;
using ::remat::testing::TemporaryFile;
using ::remat::testing::tiny;
using ::testing::HasSubstr;

// Of --dtype fp16 on the CPU.
bool cpu_multiplies_halves() {
  try {
    check_device(c10::kCPU, Precision::kFp16);
    return true;
  } catch (const InvalidArgument&) {
    return false;
  }
}

class Precisions : public remat::testing::SmallRuns {
 protected:
  static std::vector<std::string> dtypes() {
    return cpu_multiplies_halves() ? std::vector<std::string>{"bf16", "fp16"}
                                   : std::vector<std::string>{"bf16"};
  }
};

TEST_F(Precisions, GiveBitIdenticalGradientsUnderEveryPolicy) {
  for (const auto& dtype : dtypes()) {
    for (const auto& model : remat::testing::all_models()) {
      SCOPED_TRACE(dtype + ::testing::PrintToString(model));
      const auto report =
          result("verify", joined(model, {"--dtype", dtype, "--repeat", "1", "--policy", "full",
                                          "--policy", "every:2", "--policy", "segments:3"}));
      const std::vector<int> recomputed = {4, 2, 3};
      for (std::size_t i = 0; i < recomputed.size(); ++i) {
        const auto& run = report.at("runs").at(i);
        EXPECT_EQ(run.at("recomputed_calls"), recomputed[i]);
        for (const char* what : {"gradients_identical", "buffers_identical", "loss_identical"}) {
          EXPECT_EQ(run.at(what), true) << what;
        }
      }
    }
  }
}

TEST_F(Precisions, RoundActivationsAndKeepParametersInFloat) {
  Workload exact(options());
  auto rounded_options = options();
  rounded_options.precision = Precision::kBf16;
  Workload rounded(rounded_options);
  const auto batch = exact.next_batch();
  const auto exact_loss = exact.plain_step(batch).loss;
  const auto rounded_loss = rounded.plain_step(batch).loss;
  EXPECT_NE(exact_loss, rounded_loss);
  EXPECT_NEAR(exact_loss, rounded_loss, 0.05);
  for (const auto& tensors : {rounded.parameters(), rounded.gradients()}) {
    for (const auto& tensor : tensors) EXPECT_EQ(tensor.scalar_type(), torch::kFloat);
  }
  EXPECT_FALSE(testing::CpuAutocast::enabled());
}

TEST_F(Precisions, ValidateAsTheyTrain) {
  const auto validation = [this](const char* dtype) {
    return result("train", {"--dtype", dtype, "--val-fraction", "0.1", "--lr", "1e-30"})
        .at("validation_loss")
        .get<double>();
  };
  EXPECT_NE(validation("f32"), validation("bf16"));
  EXPECT_NEAR(validation("f32"), validation("bf16"), 0.05);
}

// Powers of two: in float the scaled gradients are the plain ones with another exponent.
TEST_F(Precisions, ScaleTheLossAndUnscaleTheGradients) {
  auto clipped = options();
  clipped.step.clip = 0.5;
  clipped.step.accumulate = 2;
  Workload plain(clipped), scaled(clipped);
  scaled.loss_scaler().emplace();
  const auto batch = plain.next_batch();
  torch::manual_seed(3);
  const auto plain_step = plain.plain_step(batch);
  torch::manual_seed(3);
  const auto scaled_step = scaled.plain_step(batch);
  EXPECT_EQ(plain_step.loss, scaled_step.loss);
  EXPECT_NEAR(plain_step.gradient_norm, scaled_step.gradient_norm, 1e-5);
  const auto expected = plain.parameters(), found = scaled.parameters();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(torch::allclose(expected[i], found[i], 1e-4, 1e-6));
  }
  EXPECT_EQ(scaled.loss_scaler()->good_steps(), 1);
}

TEST_F(Precisions, SkipTheStepWhoseGradientsOverflow) {
  Workload workload(options());
  workload.loss_scaler().emplace();
  workload.loss_scaler()->restore(0x1p127, 5);
  const auto batch = workload.next_batch();
  std::vector<torch::Tensor> before;
  for (const auto& parameter : workload.parameters()) before.push_back(parameter.detach().clone());
  EXPECT_TRUE(workload.plain_step(batch).skipped);
  const auto after = workload.parameters();
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(torch::equal(before[i], after[i]));
  EXPECT_EQ(workload.loss_scaler()->scale(), 0x1p126);
  EXPECT_EQ(workload.loss_scaler()->good_steps(), 0);
  workload.loss_scaler()->restore(1024, 0);
  EXPECT_FALSE(workload.plain_step(batch).skipped);
  EXPECT_FALSE(torch::equal(before[0], after[0]));
}

TEST_F(Precisions, SaveTheLossScale) {
  const TemporaryFile file("");
  Workload saved(options());
  saved.loss_scaler().emplace();
  saved.loss_scaler()->restore(512, 77);
  save_training_state(file.path(), saved, options(), 3);
  Workload loaded(options());
  loaded.loss_scaler().emplace();
  EXPECT_EQ(load_training_state(file.path(), loaded, options()), 3);
  EXPECT_EQ(loaded.loss_scaler()->scale(), 512);
  EXPECT_EQ(loaded.loss_scaler()->good_steps(), 77);

  auto state = read_state_file(file.path());
  for (const double scale : {0.0, -2.0}) {
    state.state["loss_scale"]["scale"] = scale;
    write_state_file(file.path(), state.state, state.tensors);
    EXPECT_THROW(load_training_state(file.path(), loaded, options()), Error) << scale;
  }
}

TEST_F(Precisions, ResumeBitForBit) {
  for (const auto& dtype : dtypes()) {
    const TemporaryFile straight(""), halves("");
    const Arguments flags = {"--dtype", dtype, "--policy", "full", "--save"};
    result("train", joined(flags, {straight.path()}));
    result("train", joined(flags, {halves.path(), "--steps", "5"}));
    result("train", joined(flags, {halves.path(), "--resume", halves.path()}));
    EXPECT_EQ(content_of(straight.path()), content_of(halves.path()));
    const auto other = run_here(tiny("train", text_, {"--resume", halves.path()}));
    EXPECT_EQ(other.status, kUsage);
    EXPECT_THAT(other.err, HasSubstr("\"" + dtype + "\", not with --dtype \"f32\""));
  }
}

TEST_F(Precisions, ReportTheLossScaleOfFp16) {
  if (!cpu_multiplies_halves()) {
    const auto run = run_here(tiny("train", text_, {"--dtype", "fp16"}));
    EXPECT_EQ(run.status, kUsage);
    EXPECT_THAT(run.err, HasSubstr("does not multiply float16 matrices on cpu; give --dtype bf16"));
    return;
  }
  const auto summary = result("train", {"--dtype", "fp16"});
  EXPECT_GT(summary.at("loss_scale").get<double>(), 0);
  EXPECT_LT(summary.at("skipped_steps").get<int>(), 12);
  EXPECT_LT(summary.at("final_loss"), summary.at("first_loss"));
}

TEST_F(Precisions, AndDevicesThatCannotBeAreRefused) {
  std::vector<Refused> cases = {
      {{"--dtype", "f16"}, "--dtype: must be f32, bf16 or fp16, not \"f16\""},
      {{"--dtype", ""}, "not \"\""},
      {{"--device", "gpu"}, "--device: must be cpu, cuda or cuda:N"},
      {{"--device", "cuda:"}, "not \"cuda:\""},
      {{"--device", "cuda:-1"}, "not \"cuda:-1\""},
      {{"--device", "cuda:64"}, "not \"cuda:64\""},
      {{"--device", "cpu:0"}, "not \"cpu:0\""}};
  if (!torch::cuda::is_available()) {
    cases.push_back({{"--device", "cuda"}, "--device cuda:0: LibTorch"});
    cases.push_back({{"--device", "cuda:3"}, "finds no CUDA device here"});
  }
  for (const char* verb : {"train", "verify"}) expect_usage_errors(verb, cases);
}

}  // namespace
}  // namespace remat::cli

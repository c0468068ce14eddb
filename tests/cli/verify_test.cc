#include "cli/verify.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/run_remat.h"
#include "tests/cli/small_runs.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::expect_refused;
using ::remat::testing::joined;
using ::remat::testing::json_of;
using ::remat::testing::lines_of;
using ::remat::testing::run_remat;
using ::remat::testing::tiny;
using ::remat::testing::wide;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using Json = nlohmann::json;

class Verify : public remat::testing::SmallRuns {};

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  return keys;
}

template <class Value>
std::vector<Value> column(const Json& runs, const char* key) {
  std::vector<Value> values;
  for (const auto& run : runs) values.push_back(run.at(key));
  return values;
}

TEST_F(Verify, ReportsExactlyTheseKeysAsJson) {
  const auto run = run_remat(tiny("verify", text_, {"--json", "--repeat", "2"}));
  EXPECT_EQ(run.status, kDone) << run.err;
  EXPECT_EQ(run.err, "");
  const auto report = Json::parse(run.out);
  EXPECT_THAT(keys_of(report), UnorderedElementsAre("threads", "blas", "plain", "runs"));
  EXPECT_EQ(report.at("threads"), 1);
  EXPECT_THAT(report.at("blas").get<std::string>(),
              ::testing::AnyOf(::testing::StartsWith("openblas-"), "other"));
  EXPECT_THAT(
      keys_of(report.at("plain")),
      UnorderedElementsAre("peak_bytes", "rss_peak_bytes", "fixed_bytes", "step_ns", "forward_ns"));
  for (const auto& policy : report.at("runs")) {
    EXPECT_THAT(keys_of(policy),
                UnorderedElementsAre("policy", "peak_bytes", "rss_peak_bytes", "step_ns",
                                     "forward_ns", "gradients_identical", "buffers_identical",
                                     "loss_identical", "recomputed_calls"));
  }
}

TEST_F(Verify, FindsEveryPolicyIdenticalAndSmaller) {
  const auto run = run_remat(tiny("verify", text_, {"--json", "--repeat", "2"}));
  const auto report = Json::parse(run.out);
  const auto& plain = report.at("plain");
  const auto& runs = report.at("runs");
  EXPECT_THAT(column<std::string>(runs, "policy"), ElementsAre("full", "every:2", "sqrt"));
  EXPECT_THAT(column<int>(runs, "recomputed_calls"), ElementsAre(4, 2, 2));
  for (const char* key : {"gradients_identical", "buffers_identical", "loss_identical"}) {
    EXPECT_THAT(column<bool>(runs, key), ElementsAre(true, true, true)) << key;
  }
  const std::int64_t fixed = plain.at("fixed_bytes");
  for (const auto peak : column<std::int64_t>(runs, "peak_bytes")) {
    EXPECT_GT(peak, fixed);
    EXPECT_LT(peak, plain.at("peak_bytes").get<std::int64_t>());
  }
  for (const auto& policy : runs) {
    EXPECT_GT(policy.at("forward_ns"), 0);
    EXPECT_GT(policy.at("step_ns"), policy.at("forward_ns"));
  }
}

// Parameters and their gradients, two moments of each, the blocks' masks and the batch: four bytes for
// each parameter, four times, and nothing of what the comparison itself needs.
TEST_F(Verify, CountsAsFixedWhatAStepStartsWith) {
  const auto run =
      run_remat(tiny("verify", text_, {"--json", "--repeat", "1", "--policy", "none"}));
  const auto report = Json::parse(run.out);
  const std::int64_t dim = 16;
  const std::int64_t seq = 24;
  const auto parameters = (256 + seq) * dim + 4 * (12 * dim * dim + 13 * dim) + 2 * dim;
  const auto tensors = 16 * parameters + 4 * seq * seq + 2 * 2 * seq * 8;
  EXPECT_GE(report.at("plain").at("fixed_bytes"), tensors);
  EXPECT_LT(report.at("plain").at("fixed_bytes"), tensors + 4096);  // alignment
  const auto& none = report.at("runs").at(0);
  EXPECT_EQ(none.at("peak_bytes"), report.at("plain").at("peak_bytes"));
  EXPECT_EQ(none.at("recomputed_calls"), 0);
}

TEST_F(Verify, FindsEveryModelIdenticalUnderEveryPolicy) {
  for (const auto& model : remat::testing::all_models()) {
    SCOPED_TRACE(::testing::PrintToString(model));
    const auto run = run_remat(
        tiny("verify", text_,
             remat::testing::joined(
                 model, {"--json", "--repeat", "1", "--policy", "none", "--policy", "full",
                         "--policy", "every:2", "--policy", "segments:3", "--policy", "sqrt"})));
    ASSERT_EQ(run.status, kDone) << run.err;
    const auto report = Json::parse(run.out);
    const auto& runs = report.at("runs");
    EXPECT_THAT(column<int>(runs, "recomputed_calls"), ElementsAre(0, 4, 2, 3, 2));
    for (const char* key : {"gradients_identical", "buffers_identical", "loss_identical"}) {
      EXPECT_THAT(column<bool>(runs, key), ElementsAre(true, true, true, true, true)) << key;
    }
    EXPECT_LT(runs.at(1).at("peak_bytes"), report.at("plain").at("peak_bytes"));
  }
}

TEST_F(Verify, KeepsNoWeightsOfSeqBySeqIfEfficient) {
  const auto plain_peak = [this](const char* attention) {
    const auto run = run_remat(tiny("verify", text_,
                                    {"--json", "--repeat", "1", "--policy", "none", "--seq", "512",
                                     "--model", "llama", "--attention", attention}));
    const auto report = Json::parse(run.out);
    return report.at("plain").at("peak_bytes").get<std::int64_t>();
  };
  // Four layers keep softmax's result for backward, 2 x 2 x 512 x 512 floats each.
  EXPECT_GT(plain_peak("materialized") - plain_peak("efficient"), 4 * 2 * 2 * 512 * 512 * 4);
}

class VerifyBudgets : public remat::testing::SmallRuns {
 protected:
  Json verify(const Arguments& more) const {
    return json_of(run_remat(tiny("verify", text_, joined(wide({"--json"}), more))));
  }
};

void expect_identical(const Json& run) {
  for (const char* key : {"gradients_identical", "buffers_identical", "loss_identical"}) {
    EXPECT_EQ(run.at(key), true) << key;
  }
}

TEST_F(VerifyBudgets, JoinTheTable) {
  const auto report =
      verify({"--repeat", "3", "--policy", "budget:60%", "--policy", "sqrt", "--memory", "33%"});
  ASSERT_TRUE(report.is_object());
  const auto& plain = report.at("plain");
  const auto& runs = report.at("runs");
  ASSERT_THAT(column<std::string>(runs, "policy"), ElementsAre("budget:60%", "sqrt", "budget:33%"));
  EXPECT_FALSE(runs.at(1).contains("budget_bytes"));
  const std::int64_t fixed = plain.at("fixed_bytes"), plain_peak = plain.at("peak_bytes");
  for (const auto& [index, percent] : {std::pair{0, 60}, std::pair{2, 33}}) {
    const auto& run = runs.at(static_cast<std::size_t>(index));
    SCOPED_TRACE(run.dump());
    expect_identical(run);
    const std::int64_t budget = run.at("budget_bytes");
    EXPECT_EQ(budget, fixed + (plain_peak - fixed) * percent / 100);
    EXPECT_LE(run.at("peak_bytes"), budget);
    EXPECT_GT(run.at("peak_bytes").get<std::int64_t>(), fixed + (budget - fixed) / 2);
    EXPECT_LE(run.at("predicted_peak_bytes"), budget);
    EXPECT_GT(run.at("lower_bound_overhead_percent"), 0);
    EXPECT_GT(run.at("step_ns"), run.at("forward_ns"));
    EXPECT_GT(run.at("rss_peak_bytes"), 0);
    EXPECT_EQ(run.at("recomputed_calls"), 0);
  }
}

TEST_F(VerifyBudgets, AreIdenticalForEveryModelTypeAndAccumulation) {
  auto trainings = remat::testing::all_models();
  trainings.push_back({"--dtype", "bf16", "--clip", "0.5"});
  trainings.push_back({"--accumulate", "2", "--model", "llama", "--dropout", "0.1"});
  for (const auto& training : trainings) {
    SCOPED_TRACE(::testing::PrintToString(training));
    const auto report =
        verify(joined(training, {"--repeat", "1", "--effort", "20000", "--policy", "budget:50%"}));
    ASSERT_TRUE(report.is_object());
    const auto& run = report.at("runs").at(0);
    expect_identical(run);
    EXPECT_LT(run.at("budget_bytes"), report.at("plain").at("peak_bytes"));
    EXPECT_LE(run.at("peak_bytes"), run.at("budget_bytes"));
  }
}

TEST_F(VerifyBudgets, AreShownWithTheirPlan) {
  const auto run = run_remat(tiny("verify", text_, wide({"--repeat", "1", "--memory", "50%"})));
  ASSERT_EQ(run.status, kDone) << run.err;
  EXPECT_THAT(run.out, ::testing::ContainsRegex("budget:50% .* [1-9][0-9]* ops  yes"));
  EXPECT_THAT(run.out,
              ::testing::ContainsRegex("budget:50% is .*iB: plan of .*iB at its peak, .* % "
                                       "slower, no plan less than .* %"));
  EXPECT_THAT(run.out, HasSubstr("every:2"));  // beside the usual ones
  EXPECT_THAT(run.out, HasSubstr("bit for bit"));
  for (const auto& line : lines_of(run.out)) EXPECT_LT(line.size(), 110u) << line;
}

TEST_F(VerifyBudgets, NameOneThatWorksWhereAStepDoesNotFit) {
  const auto within = [this](const std::string& memory) {
    return run_remat(
        tiny("verify", text_,
             wide({"--repeat", "1", "--policy", "none", "--effort", "20000", "--memory", memory})));
  };
  const auto refused = within("100KiB");
  expect_refused(refused,
                 AllOf(HasSubstr("budget:100KiB is 100 KiB, which a step does not fit"),
                       HasSubstr("the smallest budget known to work is ")),
                 kNoPlanFits);
  const auto start = refused.err.find("give --memory ") + 14;
  const auto works = refused.err.substr(start, refused.err.find(' ', start) - start);
  const auto run = within(works);
  EXPECT_EQ(run.status, kDone) << run.err;
  EXPECT_THAT(run.out, HasSubstr("bit for bit"));
}

TEST_F(VerifyBudgets, RefuseWhatCannotBe) {
  expect_usage_errors(
      "verify",
      {
          {{"--policy", "budget:0%"}, "--policy: must be a size, as in 1.5GiB, or 1% to 100%"},
          {{"--policy", "budget:150%"}, "1% to 100%"},
          {{"--policy", "budget:"}, "--policy"},
          {{"--policy", "budget"}, "segments:N or sqrt, where"},
          {{"--policy", "budget"}, "or budget:SIZE, or budget:PERCENT"},
          {{"--policy", "budget:lots"}, "lots"},
          {{"--memory", "150%"}, "--memory: must be a size, as in 1.5GiB, or 1% to 100%"},
          {{"--memory", "0"}, "more than no memory"},
          {{"--policy", "full", "--effort", "9"}, "--effort 9 needs a budget"},
      });
}

// Sizes at which neither LibTorch's scratch memory nor the C library's free lists matter.
TEST_F(Verify, ResidentGrowthIsAtMostATenthAboveTheTrackedPeak) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer keeps memory of its own";
#endif
  const auto report = json_of(run_remat(
      tiny("verify", text_,
           {"--json", "--repeat", "1", "--policy", "full", "--policy", "budget:50%", "--layers",
            "6", "--seq", "256", "--dim", "64", "--heads", "4", "--batch", "8"})));
  ASSERT_TRUE(report.is_object());
  const auto& runs = report.at("runs");
  for (const auto& measured : {report.at("plain"), runs.at(0), runs.at(1)}) {
    SCOPED_TRACE(measured.dump());
    const auto peak = measured.at("peak_bytes").get<double>();
    EXPECT_GT(measured.at("rss_peak_bytes").get<double>(), 0.9 * peak);
    EXPECT_LT(measured.at("rss_peak_bytes").get<double>(), 1.1 * peak + (16 << 20));
  }
  for (const auto& run : runs) {
    EXPECT_LT(run.at("rss_peak_bytes"), report.at("plain").at("rss_peak_bytes"));
  }
}

TEST_F(Verify, TakesEachPolicyInTheOrderGiven) {
  const auto run = run_remat(tiny(
      "verify", text_,
      {"--json", "--repeat", "1", "--policy", "sqrt", "--policy", "every:3", "--policy=sqrt"}));
  EXPECT_THAT(column<std::string>(Json::parse(run.out).at("runs"), "policy"),
              ElementsAre("sqrt", "every:3", "sqrt"));
}

TEST_F(Verify, PrintsATable) {
  const auto run = run_remat(tiny("verify", text_, {"--repeat", "1", "--dropout", "0"}));
  EXPECT_EQ(run.status, kDone);
  EXPECT_THAT(run.out, HasSubstr("GPT of 4 layers, dim 16, 2 heads, dropout 0"));
  EXPECT_THAT(run.out, HasSubstr("LibTorch "));
  EXPECT_THAT(run.out, HasSubstr("bit for bit"));
  for (const auto& line : lines_of(run.out)) EXPECT_LT(line.size(), 100u) << line;
}

TEST_F(Verify, FailsWithoutAFiniteLoss) {
  const auto run = run_remat(tiny("verify", text_, {"--lr", "1e30"}));
  EXPECT_EQ(run.status, kFailed);
  EXPECT_THAT(lines_of(run.err), ElementsAre(HasSubstr("try a lower --lr")));
}

}  // namespace
}  // namespace remat::cli

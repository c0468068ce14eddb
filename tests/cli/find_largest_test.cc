#include "cli/find_largest.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/run_here.h"
#include "tests/cli/small_runs.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::joined;
using ::remat::testing::lines_of;
using ::remat::testing::ProgramRun;
using ::remat::testing::run_here;
using ::remat::testing::TemporaryFile;
using ::remat::testing::tiny;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Json = nlohmann::json;

class FindLargest : public remat::testing::SmallRuns {
 protected:
  ProgramRun find(const std::string& dimension, const std::string& memory,
                  const Arguments& more = {}) const {
    return run_here(
        tiny("train", text_, joined({"--find-largest", dimension, "--memory", memory}, more)));
  }

  // The peak of the same training, by `remat train`.
  std::int64_t trained_peak(const Arguments& more) const {
    return result("train", joined({"--steps", "3"}, more)).at("peak_bytes");
  }
};

TEST_F(FindLargest, FindsWhatTrainingTakesAndWhatOneMoreWouldTake) {
  for (const std::string dimension : {"batch", "seq"}) {
    SCOPED_TRACE(dimension);
    const auto run = find(dimension, "3MiB", {"--json"});
    ASSERT_EQ(run.status, kDone) << run.err;
    const auto report = Json::parse(run.out);
    EXPECT_EQ(report.at("find_largest"), dimension);
    EXPECT_EQ(report.at("memory_bytes"), 3 << 20);
    ASSERT_THAT(report.at("runs"), SizeIs(4));
    std::int64_t none = 0;
    for (const auto& row : report.at("runs")) {
      const std::int64_t largest = row.at("largest");
      const auto policy = row.at("policy").get<std::string>();
      SCOPED_TRACE(policy);
      const auto peak = [&](std::int64_t size) {
        return trained_peak({"--policy", policy, "--" + dimension, std::to_string(size)});
      };
      EXPECT_EQ(peak(largest), row.at("peak_bytes"));
      EXPECT_EQ(peak(largest + 1), row.at("next_peak_bytes"));
      EXPECT_LE(row.at("peak_bytes"), 3 << 20);
      EXPECT_GT(row.at("next_peak_bytes"), 3 << 20);
      EXPECT_EQ(row.at("at_limit"), false);
      if (policy == "none") none = largest;
      if (policy == "full") {
        EXPECT_GT(largest, none * 3 / 2);
      }
    }
    EXPECT_GT(none, 1);
  }
}

TEST_F(FindLargest, TakesOnePolicyAndStopsAtTheText) {
  const TemporaryFile brief(std::string(40, 'x'));
  const auto run = run_here(
      {"train",   "--text",   brief.path(), "--layers", "2",         "--dim", "8",
       "--heads", "1",        "--batch",    "1",        "--threads", "1",     "--find-largest",
       "seq",     "--memory", "1GiB",       "--policy", "full",      "--json"});
  ASSERT_EQ(run.status, kDone) << run.err;
  const auto rows = Json::parse(run.out).at("runs");
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_EQ(rows.at(0).at("policy"), "full");
  EXPECT_EQ(rows.at(0).at("largest"), 39);  // and a byte to predict
  EXPECT_EQ(rows.at(0).at("at_limit"), true);
  EXPECT_TRUE(rows.at(0).at("next_peak_bytes").is_null());
}

TEST_F(FindLargest, PrintsATable) {
  const auto run = find("batch", "2MiB");
  ASSERT_EQ(run.status, kDone) << run.err;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("GPT of 4 layers, dim 16, 2 heads, dropout 0.1, seq 24, f32"),
                    HasSubstr("largest batch"), HasSubstr("one more"), HasSubstr("sqrt"),
                    HasSubstr("at most 2.00 MiB")));
  EXPECT_THAT(run.err, HasSubstr("none: batch 1  takes "));
}

TEST_F(FindLargest, SaysWhatWouldDoWhereNothingFits) {
  const auto run = find("batch", "1KiB");
  EXPECT_EQ(run.status, kNoPlanFits);
  EXPECT_THAT(run.out, HasSubstr("none "));
  const auto said = lines_of(run.err).back();
  EXPECT_THAT(said, HasSubstr("--memory 1.00 KiB: not even batch 1 fits; the least is --policy"));
  const auto start = said.find("give --memory ") + 14;
  const auto least = said.substr(start, said.find(' ', start) - start);
  EXPECT_EQ(find("batch", least).status, kDone);
  EXPECT_EQ(find("batch", std::to_string(std::stoll(least) - 1)).status, kNoPlanFits);
}

TEST_F(FindLargest, RefusesWhatCannotBe) {
  expect_usage_errors(
      "train",
      {
          {{"--find-largest", "layers", "--memory", "1GiB"},
           "must be batch or seq, not \"layers\""},
          {{"--find-largest", "batch"}, "--find-largest needs --memory"},
          {{"--find-largest", "batch", "--memory", "50%"}, "--memory with a size"},
          {{"--find-largest", "batch", "--memory", "lots"}, "--memory"},
          {{"--find-largest", "batch", "--memory", "-1"}, "--memory"},
          {{"--find-largest", "batch", "--memory", "1GiB", "--save", "x"}, "leave --save out"},
          {{"--find-largest", "seq", "--memory", "1GiB", "--policy", "segments:9"}, "segments:9"},
      });
}

}  // namespace
}  // namespace remat::cli

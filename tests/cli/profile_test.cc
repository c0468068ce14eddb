// `remat profile`, and `remat plan` on what it writes.
#include "cli/profile.h"

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/run_here.h"
#include "tests/cli/run_remat.h"
#include "tests/cli/small_runs.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::content_of;
using ::remat::testing::joined;
using ::remat::testing::lines_of;
using ::remat::testing::run_here;
using ::remat::testing::run_remat;
using ::remat::testing::TemporaryFile;
using ::remat::testing::tiny;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class ProfileVerb : public ::testing::Test {
 protected:
  // Activations are most of what the step takes.
  Json profile(const Arguments& more) const {
    const auto run = run_remat(
        tiny("profile", file_,
             joined({"--seq", "96", "--batch", "4", "--steps", "2", "--out", out_.path(), "--json"},
                    more)));
    EXPECT_EQ(run.status, kDone) << run.err;
    return run.status == kDone ? Json::parse(run.out) : Json();
  }

  OpGraph graph() const { return read_op_graph(content_of(out_.path()), out_.path()); }

  TemporaryFile file_{remat::testing::repetitive_text()};
  TemporaryFile out_{""};
};

std::set<std::string> names_in(const Json& groups) {
  std::set<std::string> names;
  for (const auto& group : groups) names.insert(group.at("name"));
  return names;
}

TEST_F(ProfileVerb, WritesAStepForWhichThereIsAPlan) {
  for (const auto& model : remat::testing::all_models()) {
    SCOPED_TRACE(::testing::PrintToString(model));
    const auto report = profile(model);
    ASSERT_TRUE(report.is_object());
    const std::int64_t peak = report.at("plain_peak_bytes"), fixed = report.at("fixed_bytes");
    const auto half = fixed + (peak - fixed) / 2;
    const TemporaryFile plan("");
    const auto planned = run_here({"plan", out_.path(), "--memory", std::to_string(half),
                                   "--effort", "200000", "--out", plan.path(), "--json"});
    ASSERT_EQ(planned.status, kDone) << planned.err;
    EXPECT_EQ(Json::parse(planned.out).at("plain_peak_bytes"), peak);
    const std::string checker = REMAT_SHARED "/tools/check_plan.py";
    if (!std::filesystem::exists(checker)) continue;
    const auto command = fmt::format("python3 -B '{}' '{}' '{}' --budget {} > /dev/null", checker,
                                     out_.path(), plan.path(), half);
    EXPECT_EQ(std::system(command.c_str()), 0);  // NOLINT(concurrency-mt-unsafe)
  }
}

// The graph's plain step is the one that was measured.
TEST_F(ProfileVerb, PredictsThePlainStep) {
  const auto report = profile({});
  ASSERT_TRUE(report.is_object());
  const double tracked = report.at("tracked_peak_bytes");
  EXPECT_NEAR(report.at("plain_peak_bytes"), tracked, tracked / 200);
  EXPECT_LT(report.at("fixed_bytes"), report.at("plain_peak_bytes"));
  EXPECT_LT(report.at("kept_bytes"), report.at("plain_peak_bytes"));
  const double fixed = report.at("fixed_bytes");
  EXPECT_GT(report.at("kept_bytes"), (tracked - fixed) / 2) << "activations are most of the step";
  std::int64_t ops_ns = 0;
  for (const auto& op : graph().ops) ops_ns += op.time.count();
  EXPECT_EQ(report.at("ops_ns"), ops_ns);
}

TEST_F(ProfileVerb, CallsThePartsOfTheModelByTheirNames) {
  const auto report = profile({});
  ASSERT_TRUE(report.is_object());
  EXPECT_EQ(report.at("graph"), "gpt2_4x16_batch4x96");
  EXPECT_EQ(graph().name, "gpt2_4x16_batch4x96");
  EXPECT_THAT(names_in(report.at("layers")),
              AllOf(Contains("block0"), Contains("block3"), Contains("final_norm"),
                    Contains("token_embedding")));
  EXPECT_THAT(names_in(report.at("operators")),
              AllOf(Contains("aten::_softmax"), Contains("no_grad"), Contains("SoftmaxBackward0")));
  std::set<std::string> ops, values;
  for (const auto& op : graph().ops) ops.insert(op.name);
  for (const auto& value : graph().values) values.insert(value.name);
  EXPECT_THAT(ops, Contains(::testing::StartsWith("block2.attention.qkv: aten::")));
  EXPECT_THAT(ops, Contains("block2.attention.weights: aten::_softmax"));
  EXPECT_THAT(values, Contains("block2.attention.weights"));
}

TEST_F(ProfileVerb, PrintsTablesThatFitATerminal) {
  const auto run = run_remat(tiny("profile", file_, {"--steps", "2"}));
  ASSERT_EQ(run.status, kDone) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("\nlayer "), HasSubstr("\noperator "),
                             HasSubstr("--out graph.json writes the step for `remat plan`\n")));
  for (const auto& line : lines_of(run.out)) EXPECT_LE(line.size(), 80U) << line;
}

TEST_F(ProfileVerb, SaysWhatCannotBe) {
  const auto no_text = run_here({"profile"});
  EXPECT_EQ(no_text.status, kUsage);
  EXPECT_THAT(no_text.err, HasSubstr("--text is required"));
  const auto no_folder = run_here(tiny("profile", file_, {"--out", "/no/such/folder/graph.json"}));
  EXPECT_EQ(no_folder.status, kFailed);
  EXPECT_THAT(no_folder.err, HasSubstr("--out /no/such/folder/graph.json: cannot be written"));
}

}  // namespace
}  // namespace remat::cli

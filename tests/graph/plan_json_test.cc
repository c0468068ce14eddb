#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <remat/graph.h>

#include "tests/testing/error_text.h"

namespace remat {
namespace {

using std::chrono::nanoseconds;
using testing::complaint_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::replaced;
using Json = nlohmann::ordered_json;

const std::string kPlan = R"({"format": "remat.plan/1", "graph": "net", "budget_bytes": 8000,
 "actions": [
  ["run", 5],
  ["drop", 0],
  ["run", 3]
 ],
 "predicted_peak_bytes": 7000, "predicted_time_ns": 130, "plain_time_ns": 100, "lower_bound_time_ns": 120, "planner": "graph", "effort": 1000, "stopped_by": "effort"}
)";

const std::string kChainPlan =
    R"({"format": "remat.chain_plan/1", "chain": "net", "budget_bytes": 8000,
 "actions": [
  ["checkpoint", 0],
  ["pass", 1],
  ["save", 2, 1],
  ["backward", 2]
 ],
 "predicted_peak_bytes": 7000, "predicted_time_ns": 130, "planner": "chain"}
)";

Plan read(const std::string& json) { return read_plan(json, "plan.json"); }

ChainPlan read_of_chain(const std::string& json) { return read_chain_plan(json, "plan.json"); }

std::string complaint_about(const std::string& from, const std::string& to) {
  return complaint_of([&] { read(replaced(kPlan, from, to)); });
}

std::string chain_complaint_about(const std::string& from, const std::string& to) {
  return complaint_of([&] { read_of_chain(replaced(kChainPlan, from, to)); });
}

std::string without(const std::string& text, const std::string& key) {
  auto json = Json::parse(text);
  json.erase(key);
  return json.dump();
}

TEST(PlanJson, ReadsEveryMember) {
  const auto plan = read(kPlan);
  EXPECT_EQ(plan.graph, "net");
  EXPECT_EQ(plan.budget, Bytes(8000));
  EXPECT_THAT(plan.actions,
              ElementsAre(PlanAction(RunOp{OpId{5}}), PlanAction(DropValue{ValueId{0}}),
                          PlanAction(RunOp{OpId{3}})));
  EXPECT_EQ(plan.predicted_peak, Bytes(7000));
  EXPECT_EQ(plan.predicted_time, nanoseconds(130));
  EXPECT_EQ(plan.plain_time, nanoseconds(100));
  EXPECT_EQ(plan.lower_bound_time, nanoseconds(120));
  EXPECT_EQ(plan.planner, "graph");
  EXPECT_EQ(plan.effort, 1000);
  EXPECT_EQ(plan.stopped_by, "effort");
}

TEST(PlanJson, WritesWhatItReadsToTheLetter) {
  EXPECT_EQ(to_json(read(kPlan)), kPlan);
  EXPECT_EQ(to_json(read_of_chain(kChainPlan)), kChainPlan);
}

TEST(PlanJson, LeavesOutWhatThePlanDoesNotSay) {
  auto json = Json::parse(kPlan);
  for (const char* key : {"planner", "effort", "stopped_by"}) json.erase(key);
  const auto text = to_json(read(json.dump()));
  EXPECT_EQ(Json::parse(text), json);
  const auto chain_plan = without(kChainPlan, "planner");
  EXPECT_EQ(Json::parse(to_json(read_of_chain(chain_plan))), Json::parse(chain_plan));
}

TEST(PlanJson, MissesEachKeyThatTheFormatRequires) {
  for (const std::string key :
       {"format", "graph", "budget_bytes", "actions", "predicted_peak_bytes", "predicted_time_ns",
        "plain_time_ns", "lower_bound_time_ns"}) {
    EXPECT_EQ(complaint_of([&] { read(without(kPlan, key)); }),
              "plan.json: " + key + ": expected this key, found none");
  }
  for (const std::string key : {"format", "chain", "budget_bytes", "actions",
                                "predicted_peak_bytes", "predicted_time_ns"}) {
    EXPECT_EQ(complaint_of([&] { read_of_chain(without(kChainPlan, key)); }),
              "plan.json: " + key + ": expected this key, found none");
  }
}

TEST(PlanJson, RefusesAnotherFormatOrVersion) {
  EXPECT_EQ(complaint_about("plan/1", "plan/9"),
            "plan.json: format: expected \"remat.plan/1\", found \"remat.plan/9\"");
  EXPECT_EQ(complaint_of([] { read(kChainPlan); }),
            "plan.json: format: expected \"remat.plan/1\", found \"remat.chain_plan/1\"");
  EXPECT_EQ(complaint_of([] { read_of_chain(kPlan); }),
            "plan.json: format: expected \"remat.chain_plan/1\", found \"remat.plan/1\"");
}

TEST(PlanJson, RefusesActionsThatTheFormatDoesNotHave) {
  EXPECT_EQ(complaint_about("\"drop\"", "\"forget\""),
            "plan.json: actions[1][0]: expected \"run\" or \"drop\", found \"forget\"");
  EXPECT_EQ(complaint_about("[\"drop\", 0]", "[\"drop\"]"),
            "plan.json: actions[1]: expected [\"run\", id of an op] or [\"drop\", id of a value], "
            "found a list of 1");
  EXPECT_EQ(complaint_about("[\"drop\", 0]", "[\"drop\", -1]"),
            "plan.json: actions[1][1]: expected a whole number from 0 to 2^63 - 1, in digits only, "
            "found -1");
  EXPECT_EQ(complaint_about("[\"drop\", 0]", "\"drop\""),
            "plan.json: actions[1]: expected a list, found \"drop\"");
}

TEST(PlanJson, RefusesChainActionsThatTheFormatDoesNotHave) {
  EXPECT_EQ(
      chain_complaint_about("\"pass\"", "\"run\""),
      "plan.json: actions[1][0]: expected \"checkpoint\", \"pass\", \"save\" or \"backward\", "
      "found \"run\"");
  EXPECT_EQ(chain_complaint_about("[\"save\", 2, 1]", "[\"save\", 2]"),
            "plan.json: actions[2]: expected [\"save\", number of a stage, number of an option], "
            "found a list of 2");
  EXPECT_EQ(chain_complaint_about("[\"pass\", 1]", "[\"pass\", 1, 0]"),
            "plan.json: actions[1]: expected [\"pass\", number of a stage], found a list of 3");
  EXPECT_EQ(chain_complaint_about("[\"pass\", 1]", "[]"),
            "plan.json: actions[1]: expected a verb and the number of a stage, found a list of 0");
}

TEST(PlanJson, RefusesAdditionsOfAnotherType) {
  EXPECT_EQ(complaint_about("\"planner\": \"graph\"", "\"planner\": 1"),
            "plan.json: planner: expected a string, found 1");
  EXPECT_EQ(complaint_about("\"effort\": 1000", "\"effort\": 1.5"),
            "plan.json: effort: expected a whole number from 0 to 2^63 - 1, in digits only, found "
            "1.5");
}

}  // namespace
}  // namespace remat

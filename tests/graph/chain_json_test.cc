#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <remat/graph.h>

#include "tests/testing/error_text.h"
#include "tests/testing/random_chain.h"

namespace remat {
namespace {

using std::chrono::nanoseconds;
using testing::complaint_of;
using ::testing::HasSubstr;
using testing::replaced;
using Json = nlohmann::ordered_json;

const std::string kChain =
    R"({"format": "remat.chain/1", "name": "net", "device": "cpu",
 "fixed_bytes": 100, "input_bytes": 8, "input_gradient_bytes": 0,
 "stages": [
  {"name": "block0", "output_bytes": 16, "output_gradient_bytes": 32, "forward_ns": 5, "forward_workspace_bytes": 2, "options": [
    {"name": "all", "saved_bytes": 40, "forward_ns": 6, "forward_workspace_bytes": 3, "backward_ns": 11, "backward_workspace_bytes": 4},
    {"name": "few", "saved_bytes": 20, "forward_ns": 7, "forward_workspace_bytes": 0, "backward_ns": 12, "backward_workspace_bytes": 0}]},
  {"name": "loss", "output_bytes": 1, "forward_ns": 1, "forward_workspace_bytes": 0, "options": [
    {"name": "all", "saved_bytes": 1, "forward_ns": 1, "forward_workspace_bytes": 0, "backward_ns": 2, "backward_workspace_bytes": 0}]}
 ]}
)";

Chain read(const std::string& json) { return read_chain(json, "net.json"); }

std::string complaint_about(const std::string& from, const std::string& to) {
  return complaint_of([&] { read(replaced(kChain, from, to)); });
}

TEST(ChainJson, ReadsEveryMember) {
  const auto chain = read(kChain);
  EXPECT_EQ(chain.name, "net");
  EXPECT_EQ(chain.device, "cpu");
  EXPECT_EQ(chain.fixed, Bytes(100));
  EXPECT_EQ(chain.input, Bytes(8));
  EXPECT_EQ(chain.input_gradient, Bytes(0));
  ASSERT_EQ(chain.stages.size(), 2U);
  const auto& block = chain.stages[0];
  EXPECT_EQ(block.name, "block0");
  EXPECT_EQ(block.output, Bytes(16));
  EXPECT_EQ(block.output_gradient, Bytes(32));
  EXPECT_EQ(block.forward_time, nanoseconds(5));
  EXPECT_EQ(block.forward_workspace, Bytes(2));
  ASSERT_EQ(block.options.size(), 2U);
  const auto& all = block.options[0];
  EXPECT_EQ(all.name, "all");
  EXPECT_EQ(all.saved, Bytes(40));
  EXPECT_EQ(all.forward_time, nanoseconds(6));
  EXPECT_EQ(all.forward_workspace, Bytes(3));
  EXPECT_EQ(all.backward_time, nanoseconds(11));
  EXPECT_EQ(all.backward_workspace, Bytes(4));
  EXPECT_EQ(chain.stages[1].output_gradient, std::nullopt);
}

TEST(ChainJson, WritesWhatItReadsToTheLetter) { EXPECT_EQ(to_json(read(kChain)), kChain); }

TEST(ChainJson, WritesWhatItReadsForAnyChain) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    testing::RandomChoices choices(seed);
    const auto json = to_json(testing::random_chain(choices));
    ASSERT_EQ(to_json(read(json)), json) << "seed " << seed;
  }
}

TEST(ChainJson, PassesOverKeysThatItDoesNotKnow) {
  auto json = Json::parse(kChain);
  for (auto* object : {&json, &json["stages"][0], &json["stages"][0]["options"][0]}) {
    (*object)["more"] = -1.5;
  }
  EXPECT_EQ(to_json(read(json.dump())), kChain);
}

TEST(ChainJson, MissesEachKeyThatTheFormatRequires) {
  const std::string option = "/stages/0/options/0";
  const std::vector<std::string> required = {"/format",
                                             "/name",
                                             "/device",
                                             "/fixed_bytes",
                                             "/input_bytes",
                                             "/input_gradient_bytes",
                                             "/stages",
                                             "/stages/0/name",
                                             "/stages/0/output_bytes",
                                             "/stages/0/forward_ns",
                                             "/stages/0/forward_workspace_bytes",
                                             "/stages/0/options",
                                             option + "/name",
                                             option + "/saved_bytes",
                                             option + "/forward_ns",
                                             option + "/forward_workspace_bytes",
                                             option + "/backward_ns",
                                             option + "/backward_workspace_bytes"};
  for (const auto& pointer : required) {
    auto json = Json::parse(kChain);
    const Json::json_pointer place(pointer);
    json[place.parent_pointer()].erase(place.back());
    EXPECT_THAT(complaint_of([&] { read(json.dump()); }),
                HasSubstr(place.back() + ": expected this key, found none"))
        << pointer;
  }
}

TEST(ChainJson, RefusesAnotherFormatOrVersion) {
  EXPECT_EQ(complaint_about("chain/1", "chain/2"),
            "net.json: format: expected \"remat.chain/1\", found \"remat.chain/2\"");
}

TEST(ChainJson, RefusesKeysThatComeTwice) {
  EXPECT_EQ(complaint_about("\"saved_bytes\": 40,", "\"saved_bytes\": 40, \"saved_bytes\": 41,"),
            "net.json: stages[0].options[0].saved_bytes: expected each key once, found it again");
}

TEST(ChainJson, RefusesNumbersThatAreNoSizesOrTimes) {
  const std::string whole = "expected a whole number from 0 to 2^63 - 1, in digits only, found ";
  EXPECT_EQ(complaint_about("\"input_bytes\": 8", "\"input_bytes\": -8"),
            "net.json: input_bytes: " + whole + "-8");
  EXPECT_EQ(complaint_about("\"output_gradient_bytes\": 32", "\"output_gradient_bytes\": 3.2e1"),
            "net.json: stages[0].output_gradient_bytes: " + whole + "3.2e1");
  EXPECT_EQ(complaint_about("\"backward_ns\": 11", "\"backward_ns\": false"),
            "net.json: stages[0].options[0].backward_ns: " + whole + "false");
}

TEST(ChainJson, RefusesAChainWithoutStagesAndAStageWithoutOptions) {
  auto json = Json::parse(kChain);
  json["stages"][1]["options"] = Json::array();
  EXPECT_EQ(complaint_of([&] { read(json.dump()); }),
            "net.json: stages[1].options: expected at least one option, found none");
  json["stages"] = Json::array();
  EXPECT_EQ(complaint_of([&] { read(json.dump()); }),
            "net.json: stages: expected at least one stage, found none");
}

TEST(ChainJson, RefusesSumsThatDoNotFitIn63Bits) {
  // 100 fixed, 8 of input, 16 + 32 + 40 and 1 + 1 + 1 of the stages, 40 added while it runs.
  const auto with_workspace = [](const std::string& bytes) {
    return replaced(kChain, "\"backward_workspace_bytes\": 4",
                    "\"backward_workspace_bytes\": " + bytes);
  };
  EXPECT_NO_THROW(read(with_workspace("9223372036854775568")));
  EXPECT_EQ(complaint_of([&] { read(with_workspace("9223372036854775569")); }),
            "net.json: stages: expected sizes that add up to at most 2^63 - 1 bytes, found more");
  // The slower option takes 7 + 12, the loss 1 + 2.
  const auto with_time = [](const std::string& time) {
    return replaced(kChain, "\"backward_ns\": 12", "\"backward_ns\": " + time);
  };
  EXPECT_NO_THROW(read(with_time("9223372036854775797")));
  EXPECT_EQ(complaint_of([&] { read(with_time("9223372036854775798")); }),
            "net.json: stages: expected times that add up to at most 2^63 - 1 ns, found more");
}

}  // namespace
}  // namespace remat

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <remat/graph.h>

#include "tests/testing/error_text.h"
#include "tests/testing/random_op_graph.h"

namespace remat {
namespace {

using std::chrono::nanoseconds;
using testing::complaint_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::replaced;
using Json = nlohmann::ordered_json;

const std::string kGraph =
    R"({"format": "remat.opgraph/1", "name": "net", "device": "cpu",
 "fixed_bytes": 100,
 "values": [
  {"id": 0, "bytes": 8},
  {"id": 10, "bytes": 16, "held_until": 2},
  {"id": 20, "bytes": 16, "name": "mlp.\"hidden\"", "dtype": "Float", "shape": [2, 2]},
  {"id": 30, "bytes": 4, "shape": []}
 ],
 "ops": [
  {"id": 5, "name": "aten::mm", "phase": "forward", "time_ns": 7, "recompute_time_ns": 6, "workspace_bytes": 3, "reads": [0], "writes": [10], "recompute": "pure"},
  {"id": 2, "name": "aten::relu_", "phase": "forward", "time_ns": 2, "workspace_bytes": 0, "reads": [10], "writes": [20], "reuses": [[10, 20]], "recompute": "rng"},
  {"id": 3, "name": "mm \"b\"", "phase": "backward", "time_ns": 11, "workspace_bytes": 0, "reads": [0, 20], "writes": [30], "recompute": "never"}
 ]}
)";

OpGraph read(const std::string& json) { return read_op_graph(json, "net.json"); }

std::string complaint_about(const std::string& from, const std::string& to) {
  return complaint_of([&] { read(replaced(kGraph, from, to)); });
}

TEST(OpGraphJson, ReadsEveryMember) {
  const auto graph = read(kGraph);
  EXPECT_EQ(graph.name, "net");
  EXPECT_EQ(graph.device, "cpu");
  EXPECT_EQ(graph.fixed, Bytes(100));
  ASSERT_EQ(graph.values.size(), 4U);
  EXPECT_EQ(graph.values[1].id, ValueId{10});
  EXPECT_EQ(graph.values[1].bytes, Bytes(16));
  EXPECT_EQ(graph.values[1].held_until, OpId{2});
  EXPECT_EQ(graph.values[0].held_until, std::nullopt);
  EXPECT_EQ(graph.values[2].name, "mlp.\"hidden\"");
  EXPECT_EQ(graph.values[2].dtype, "Float");
  EXPECT_EQ(graph.values[2].shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(graph.values[1].shape, std::nullopt);
  EXPECT_EQ(graph.values[3].shape, std::vector<std::int64_t>());
  ASSERT_EQ(graph.ops.size(), 3U);
  const auto& mm = graph.ops[0];
  EXPECT_EQ(mm.id, OpId{5});
  EXPECT_EQ(mm.name, "aten::mm");
  EXPECT_EQ(mm.phase, Phase::kForward);
  EXPECT_EQ(mm.time, nanoseconds(7));
  EXPECT_EQ(mm.recompute_time, nanoseconds(6));
  EXPECT_EQ(mm.workspace, Bytes(3));
  EXPECT_THAT(mm.reads, ElementsAre(ValueId{0}));
  EXPECT_THAT(mm.writes, ElementsAre(ValueId{10}));
  EXPECT_EQ(mm.recompute, Recompute::kPure);
  const auto& relu = graph.ops[1];
  EXPECT_EQ(relu.recompute_time, std::nullopt);
  ASSERT_EQ(relu.reuses.size(), 1U);
  EXPECT_EQ(relu.reuses[0].read, ValueId{10});
  EXPECT_EQ(relu.reuses[0].written, ValueId{20});
  EXPECT_EQ(relu.recompute, Recompute::kRng);
  EXPECT_EQ(graph.ops[2].phase, Phase::kBackward);
  EXPECT_EQ(graph.ops[2].recompute, Recompute::kNever);
}

TEST(OpGraphJson, WritesWhatItReadsToTheLetter) { EXPECT_EQ(to_json(read(kGraph)), kGraph); }

TEST(OpGraphJson, WritesWhatItReadsForAnyGraph) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    testing::RandomChoices choices(seed);
    const auto json = to_json(testing::random_op_graph(choices));
    ASSERT_EQ(to_json(read(json)), json) << "seed " << seed;
  }
}

TEST(OpGraphJson, TakesAGraphWithNothingInIt) {
  const std::string empty =
      R"({"format": "remat.opgraph/1", "name": "", "device": "", "fixed_bytes": 0,
          "values": [], "ops": []})";
  EXPECT_TRUE(read(empty).ops.empty());
  EXPECT_EQ(to_json(read(to_json(read(empty)))), to_json(read(empty)));
}

TEST(OpGraphJson, PassesOverKeysThatItDoesNotKnow) {
  auto json = Json::parse(kGraph);
  for (auto* object : {&json, &json["values"][0], &json["ops"][0]}) {
    (*object)["more"] = {{"shape", {1.5, -2, nullptr}}};
  }
  EXPECT_EQ(to_json(read(json.dump())), kGraph);
}

TEST(OpGraphJson, MissesEachKeyThatTheFormatRequires) {
  const std::vector<std::string> required = {
      "/format",      "/name",         "/device",          "/fixed_bytes",
      "/values",      "/ops",          "/values/0/id",     "/values/0/bytes",
      "/ops/1/id",    "/ops/1/name",   "/ops/1/phase",     "/ops/1/time_ns",
      "/ops/1/reads", "/ops/1/writes", "/ops/1/recompute", "/ops/1/workspace_bytes"};
  for (const auto& pointer : required) {
    auto json = Json::parse(kGraph);
    const Json::json_pointer place(pointer);
    json[place.parent_pointer()].erase(place.back());
    EXPECT_THAT(complaint_of([&] { read(json.dump()); }),
                HasSubstr(place.back() + ": expected this key, found none"))
        << pointer;
  }
}

TEST(OpGraphJson, RefusesAnotherFormatOrVersion) {
  EXPECT_EQ(complaint_about("opgraph/1", "opgraph/2"),
            "net.json: format: expected \"remat.opgraph/1\", found \"remat.opgraph/2\"");
  EXPECT_EQ(complaint_about("opgraph/1", "plan/1"),
            "net.json: format: expected \"remat.opgraph/1\", found \"remat.plan/1\"");
  EXPECT_EQ(complaint_about("\"remat.opgraph/1\"", "1"),
            "net.json: format: expected a string, found 1");
  EXPECT_EQ(complaint_of([] { read("[]"); }), "net.json: expected an object, found a list of 0");
}

TEST(OpGraphJson, RefusesKeysThatComeTwice) {
  EXPECT_EQ(complaint_about("\"id\": 5,", "\"id\": 5, \"id\": 5,"),
            "net.json: ops[0].id: expected each key once, found it again");
  EXPECT_EQ(complaint_about("\"device\"", "\"name\""),
            "net.json: name: expected each key once, found it again");
}

TEST(OpGraphJson, RefusesNumbersThatAreNoSizesTimesOrIds) {
  const std::string whole = "expected a whole number from 0 to 2^63 - 1, in digits only, found ";
  EXPECT_EQ(complaint_about("\"fixed_bytes\": 100", "\"fixed_bytes\": -100"),
            "net.json: fixed_bytes: " + whole + "-100");
  EXPECT_EQ(complaint_about("\"bytes\": 8", "\"bytes\": 8.0"),
            "net.json: values[0].bytes: " + whole + "8.0");
  EXPECT_EQ(complaint_about("\"time_ns\": 7", "\"time_ns\": 9223372036854775808"),
            "net.json: ops[0].time_ns: " + whole + "9223372036854775808");
  EXPECT_EQ(complaint_about("\"recompute_time_ns\": 6", "\"recompute_time_ns\": null"),
            "net.json: ops[0].recompute_time_ns: " + whole + "null");
  EXPECT_EQ(complaint_about("\"workspace_bytes\": 3", "\"workspace_bytes\": \"3\""),
            "net.json: ops[0].workspace_bytes: " + whole + "\"3\"");
  EXPECT_EQ(complaint_about("\"id\": 20", "\"id\": 2e1"),
            "net.json: values[2].id: " + whole + "2e1");
  EXPECT_EQ(complaint_about("\"held_until\": 2", "\"held_until\": -2"),
            "net.json: values[1].held_until: " + whole + "-2");
  EXPECT_EQ(complaint_about("\"reads\": [0]", "\"reads\": [true]"),
            "net.json: ops[0].reads[0]: " + whole + "true");
}

TEST(OpGraphJson, RefusesOtherTypes) {
  EXPECT_EQ(complaint_about("\"name\": \"net\"", "\"name\": 1"),
            "net.json: name: expected a string, found 1");
  EXPECT_EQ(complaint_about("\"reads\": [0]", "\"reads\": 0"),
            "net.json: ops[0].reads: expected a list, found 0");
  EXPECT_EQ(complaint_about("{\"id\": 0, \"bytes\": 8}", "8"),
            "net.json: values[0]: expected an object, found 8");
  EXPECT_EQ(complaint_about("[[10, 20]]", "[[10, 20, 30]]"),
            "net.json: ops[1].reuses[0]: expected [id of a value read, id of the value that takes "
            "over], found a list of 3");
}

TEST(OpGraphJson, RefusesWordsThatTheFormatDoesNotHave) {
  EXPECT_EQ(complaint_about("\"backward\"", "\"Backward\""),
            "net.json: ops[2].phase: expected \"forward\" or \"backward\", found \"Backward\"");
  EXPECT_EQ(
      complaint_about("\"rng\"", "\"random\""),
      "net.json: ops[1].recompute: expected \"pure\" or \"rng\" or \"never\", found \"random\"");
}

TEST(OpGraphJson, RefusesIdsThatNameNothing) {
  EXPECT_EQ(complaint_about("\"reads\": [0, 20]", "\"reads\": [0, 77]"),
            "net.json: ops[2].reads[1]: expected the id of a value, found 77");
  EXPECT_EQ(complaint_about("\"writes\": [30]", "\"writes\": [77]"),
            "net.json: ops[2].writes[0]: expected the id of a value, found 77");
  EXPECT_EQ(complaint_about("[[10, 20]]", "[[10, 77]]"),
            "net.json: ops[1].reuses[0]: expected the id of a value, found 77");
  EXPECT_EQ(complaint_about("\"held_until\": 2", "\"held_until\": 0"),
            "net.json: values[1].held_until: expected the id of an op, found 0");
}

TEST(OpGraphJson, RefusesIdsThatAreTaken) {
  EXPECT_EQ(complaint_about("{\"id\": 20", "{\"id\": 10"),
            "net.json: values[2].id: expected an id of its own, found 10, the id of values[1] too");
  EXPECT_EQ(complaint_about("{\"id\": 3,", "{\"id\": 5,"),
            "net.json: ops[2].id: expected an id of its own, found 5, the id of ops[0] too");
}

TEST(OpGraphJson, RefusesAValueThatIsWrittenTwice) {
  EXPECT_EQ(complaint_about("\"writes\": [30]", "\"writes\": [30, 10]"),
            "net.json: ops[2].writes[1]: expected a value that is written once, found 10, which "
            "ops[0] writes too");
  EXPECT_EQ(complaint_about("\"writes\": [30]", "\"writes\": [30, 30]"),
            "net.json: ops[2].writes[1]: expected a value that is written once, found 30, which "
            "ops[2] writes too");
}

TEST(OpGraphJson, RefusesCycles) {
  EXPECT_EQ(complaint_about("\"reads\": [0]", "\"reads\": [30]"),
            "net.json: ops[0].reads[0]: expected an input or a value that an earlier op writes, "
            "found 30, which ops[2] writes");
  EXPECT_EQ(complaint_about("\"reads\": [0]", "\"reads\": [10]"),
            "net.json: ops[0].reads[0]: expected an input or a value that an earlier op writes, "
            "found 10, which this op writes");
}

TEST(OpGraphJson, RefusesReusesThatAreNoReadAndWriteOfTheOp) {
  const std::string expected =
      "expected [a value that this op reads, one that it writes], each in one pair, found ";
  EXPECT_EQ(complaint_about("[[10, 20]]", "[[0, 20]]"),
            "net.json: ops[1].reuses[0]: " + expected + "[0, 20]");
  EXPECT_EQ(complaint_about("[[10, 20]]", "[[10, 30]]"),
            "net.json: ops[1].reuses[0]: " + expected + "[10, 30]");
  EXPECT_EQ(complaint_about("[[10, 20]]", "[[10, 20], [10, 20]]"),
            "net.json: ops[1].reuses[1]: " + expected + "[10, 20]");
}

TEST(OpGraphJson, RefusesSumsThatDoNotFitIn63Bits) {
  // The graph has 44 bytes of values, 16 of them written twice by the op that writes most, and 100.
  const auto with_workspace = [](const std::string& bytes) {
    return replaced(kGraph, "\"workspace_bytes\": 3", "\"workspace_bytes\": " + bytes);
  };
  EXPECT_NO_THROW(read(with_workspace("9223372036854775647")));
  EXPECT_EQ(
      complaint_of([&] { read(with_workspace("9223372036854775648")); }),
      "net.json: values: expected sizes that add up to at most 2^63 - 1 bytes, fixed_bytes and "
      "a workspace included, found more");
  const auto with_time = [](const std::string& time) {
    return replaced(kGraph, "\"time_ns\": 11", "\"time_ns\": " + time);
  };
  EXPECT_NO_THROW(read(with_time("9223372036854775798")));
  EXPECT_EQ(complaint_of([&] { read(with_time("9223372036854775799")); }),
            "net.json: ops: expected times that add up to at most 2^63 - 1 ns, found more");
}

}  // namespace
}  // namespace remat

#include "cli/plan.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <remat/simulator.h>

#include "tests/cli/run_here.h"
#include "tests/cli/run_remat.h"
#include "tests/testing/op_graphs.h"
#include "tests/testing/temporary_file.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::layers_graph;
using ::remat::testing::lines_of;
using ::remat::testing::ProgramRun;
using ::remat::testing::run_here;
using ::remat::testing::run_remat;
using ::remat::testing::TemporaryFile;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Json = nlohmann::ordered_json;

// The plain step of eight layers takes 9002 bytes at its peak and 241 ns.
class PlanVerb : public ::testing::Test {
 protected:
  PlanVerb() : graph_(layers_graph(8, 1000)), file_(to_json(graph_)) {}

  // `remat plan FILE` with little effort, then `more`.
  ProgramRun plan(const Arguments& more) const {
    Arguments arguments = {"plan", file_.path(), "--effort", "200000"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_here(arguments);
  }

  Json plan_json(Arguments more) const {
    more.emplace_back("--json");
    return Json::parse(plan(more).out);
  }

  Plan plan_in(const std::string& path) const {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return read_plan(text.str(), path);
  }

  OpGraph graph_;
  TemporaryFile file_;
};

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

TEST_F(PlanVerb, PrintsTheKeysOfTheFormat) {
  const auto run = plan({"--memory", "6000", "--json"});
  EXPECT_EQ(run.status, kDone);
  EXPECT_THAT(run.err, IsEmpty());
  const auto report = Json::parse(run.out);
  EXPECT_THAT(keys_of(report),
              ElementsAre("planner", "budget_bytes", "predicted_peak_bytes", "plain_peak_bytes",
                          "plain_time_ns", "predicted_time_ns", "lower_bound_time_ns", "solve_ns",
                          "stopped_by", "feasible", "min_feasible_bytes"));
  EXPECT_EQ(report["planner"], "graph");
  EXPECT_EQ(report["budget_bytes"], 6000);
  EXPECT_LE(report["predicted_peak_bytes"], 6000);
  EXPECT_EQ(report["plain_peak_bytes"], 9002);
  EXPECT_EQ(report["plain_time_ns"], 241);
  EXPECT_GT(report["predicted_time_ns"], 241);
  EXPECT_GE(report["lower_bound_time_ns"], 241);
  EXPECT_EQ(report["stopped_by"], "optimal");
  EXPECT_EQ(report["feasible"], true);
}

TEST_F(PlanVerb, WritesThePlanThatItReports) {
  const TemporaryFile out("");
  const auto report = plan_json({"--memory", "6000B", "--out", out.path()});
  const auto plan = plan_in(out.path());
  const auto simulation = simulate(graph_, plan);
  ASSERT_TRUE(simulation.valid());
  EXPECT_EQ(report["predicted_peak_bytes"], simulation.peak.count());
  EXPECT_EQ(report["predicted_time_ns"], simulation.time.count());
  EXPECT_EQ(plan.budget, Bytes(6000));
}

TEST_F(PlanVerb, WritesPlansThatTheIndependentCheckerAccepts) {
  const std::string checker = REMAT_SHARED "/tools/check_plan.py";
  if (!std::filesystem::exists(checker)) GTEST_SKIP() << "there is no " << checker;
  const auto accepts = [&](const std::string& plan, int budget) {
    const auto command = fmt::format("python3 -B '{}' '{}' '{}' --budget {} > /dev/null", checker,
                                     file_.path(), plan, budget);
    return std::system(command.c_str()) == 0;  // NOLINT(concurrency-mt-unsafe)
  };
  const TemporaryFile out("");
  for (const char* planner : {"auto", "graph", "every:2", "segments:3", "sqrt"}) {
    EXPECT_EQ(plan({"--memory", "8000", "--planner", planner, "--out", out.path()}).status, kDone);
    EXPECT_TRUE(accepts(out.path(), 8000)) << planner;
    EXPECT_FALSE(accepts(out.path(), 3000)) << planner;
  }
}

TEST_F(PlanVerb, TakesThePlainStepWhereItFits) {
  const auto run = plan({"--memory", "1GiB"});
  EXPECT_EQ(run.status, kDone);
  EXPECT_THAT(run.out, AllOf(HasSubstr("stopped by optimal"), HasSubstr("0.00 %"),
                             HasSubstr("\noptimal: no plan within this budget takes less time\n")));
}

TEST_F(PlanVerb, SaysInTheTableWhatThePlanCosts) {
  const auto report = plan_json({"--memory", "6000"});
  const double overhead = 100 * (report["predicted_time_ns"].get<double>() / 241 - 1);
  const auto run = plan({"--memory", "6000"});
  EXPECT_THAT(run.out,
              HasSubstr("\"built\": op graph of 17 ops; plain step: peak 8.79 KiB, 241 ns"));
  EXPECT_THAT(run.out, ContainsRegex(
                           "budget +peak +overhead +bound +kept +replayed +solve time\n5.86 KiB "));
  EXPECT_THAT(run.out, HasSubstr(fmt::format("  {:.2f} %  ", overhead)));
}

TEST_F(PlanVerb, PlacesSegmentsByRule) {
  for (const char* planner : {"sqrt", "every:2", "segments:4"}) {
    const auto report = plan_json({"--memory", "9000", "--planner", planner});
    EXPECT_EQ(report["planner"], planner);
    EXPECT_EQ(report["stopped_by"], "rule");
    EXPECT_EQ(report["plain_peak_bytes"], 9002);
    EXPECT_EQ(report["min_feasible_bytes"], report["predicted_peak_bytes"]);
    EXPECT_GT(report["predicted_time_ns"], report["plain_time_ns"]);
  }
}

TEST_F(PlanVerb, ExitsWithThreeWhereNothingFits) {
  const TemporaryFile out("as before");
  const auto run = plan({"--memory", "1500", "--json", "--out", out.path()});
  EXPECT_EQ(run.status, kNoPlanFits);
  const auto report = Json::parse(run.out);
  EXPECT_EQ(report["feasible"], false);
  EXPECT_EQ(report["budget_bytes"], 1500);
  const auto smallest = report["min_feasible_bytes"].get<std::int64_t>();
  EXPECT_GE(smallest, 2002);  // two activations and two gradients
  ASSERT_THAT(lines_of(run.err), ::testing::SizeIs(1));
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("remat plan: no plan of graph for \"built\" fits"),
                    HasSubstr("(1500 bytes)"), HasSubstr(fmt::format("--memory {} or", smallest))));
  EXPECT_EQ((std::ostringstream() << std::ifstream(out.path()).rdbuf()).str(), "as before");
  EXPECT_FALSE(std::filesystem::exists(out.path() + ".tmp"));
  EXPECT_EQ(plan({"--memory", std::to_string(smallest)}).status, kDone);
}

TEST_F(PlanVerb, SaysInTheTableThatNothingFits) {
  const auto run = plan({"--memory", "1500"});
  EXPECT_EQ(run.status, kNoPlanFits);
  EXPECT_THAT(run.out, AllOf(HasSubstr("does not fit"), Not(HasSubstr("optimal"))));
}

TEST_F(PlanVerb, TakesNoLongerThanThePlanItStartsFrom) {
  const TemporaryFile good("");
  const auto first = plan_json({"--memory", "5500", "--out", good.path()});
  const auto second = Json::parse(run_here({"plan", file_.path(), "--effort", "1", "--memory",
                                            "6000", "--warm-start", good.path(), "--json"})
                                      .out);
  EXPECT_LE(second["predicted_time_ns"], first["predicted_time_ns"]);
  EXPECT_EQ(second["feasible"], true);
}

// At a budget at which the bound is out of reach: a search that reaches it ends there.
TEST_F(PlanVerb, StopsAtTheTimeLimit) {
  const TemporaryFile large(to_json(layers_graph(40, 1000)));
  const auto run = run_here({"plan", large.path(), "--memory", "9000", "--effort", "900000000000",
                             "--time-limit", "0.05", "--json"});
  EXPECT_EQ(Json::parse(run.out)["stopped_by"], "time");
}

TEST_F(PlanVerb, SweepsFromTheSmallestBudgetToThePlainPeak) {
  const auto list = plan_json({"--sweep", "7"});
  ASSERT_TRUE(list.is_array());
  ASSERT_EQ(list.size(), 7U);
  EXPECT_EQ(list.front()["budget_bytes"], list.front()["min_feasible_bytes"]);
  EXPECT_EQ(list.back()["budget_bytes"], list.back()["plain_peak_bytes"]);
  EXPECT_EQ(list.back()["predicted_time_ns"], list.back()["plain_time_ns"]);
  EXPECT_GT(list.front()["predicted_time_ns"], list.front()["plain_time_ns"]);
  for (std::size_t i = 0; i < list.size(); ++i) {
    EXPECT_EQ(list[i]["feasible"], true);
    EXPECT_LE(list[i]["predicted_peak_bytes"], list[i]["budget_bytes"]);
    if (i == 0) continue;
    EXPECT_GT(list[i]["budget_bytes"], list[i - 1]["budget_bytes"]);
    EXPECT_LE(list[i]["predicted_time_ns"], list[i - 1]["predicted_time_ns"]);
  }
}

// With so little effort that searches by themselves would go up and down.
TEST_F(PlanVerb, NeverTakesLongerWithALargerBudgetOfASweep) {
  const TemporaryFile large(to_json(layers_graph(40, 1000)));
  for (const char* effort : {"1", "3000"}) {
    const auto run =
        run_here({"plan", large.path(), "--sweep", "25", "--effort", effort, "--json"});
    const auto list = Json::parse(run.out);
    for (std::size_t i = 1; i < list.size(); ++i) {
      EXPECT_LE(list[i]["predicted_time_ns"], list[i - 1]["predicted_time_ns"]) << i;
    }
  }
}

TEST_F(PlanVerb, SweepsOverTheBudgetThatIsAskedFor) {
  const TemporaryFile out("");
  const Arguments arguments = {"--sweep", "5", "--memory", "6100", "--out", out.path()};
  const auto list = plan_json(arguments);
  ASSERT_EQ(list.size(), 5U);
  std::vector<std::int64_t> budgets;
  for (const auto& step : list) budgets.push_back(step["budget_bytes"]);
  EXPECT_THAT(budgets, ::testing::Contains(6100).Times(1));
  EXPECT_EQ(plan_in(out.path()).budget, Bytes(6100));
  EXPECT_THAT(plan(arguments).out, ContainsRegex("\n5.96 KiB .* o\n"));
}

TEST_F(PlanVerb, ExitsWithThreeWhereTheBudgetAskedForIsBelowTheCurve) {
  const auto run = plan({"--sweep", "3", "--memory", "1500", "--json"});
  EXPECT_EQ(run.status, kNoPlanFits);
  const auto list = Json::parse(run.out);
  EXPECT_EQ(list[0]["feasible"], false);
  EXPECT_EQ(list[1]["feasible"], true);
  EXPECT_THAT(run.err, HasSubstr("(1500 bytes)"));
}

TEST_F(PlanVerb, DrawsTheCurveInEightyColumns) {
  const auto run = plan({"--sweep", "5", "--memory", "6000", "--explain"});
  EXPECT_EQ(run.status, kDone);
  EXPECT_THAT(run.out, AllOf(HasSubstr("\noverhead\n"), HasSubstr("budget (o: --memory)"),
                             HasSubstr("+-----"), HasSubstr("8.79 KiB\n")));
  for (const auto& line : lines_of(run.out)) EXPECT_LE(line.size(), 80U) << line;
}

TEST_F(PlanVerb, ExplainsAPlan) {
  const auto run = plan({"--memory", "6000", "--explain"});
  EXPECT_THAT(run.out, AllOf(HasSubstr("kept for backward: "), HasSubstr("dropped and replayed: "),
                             HasSubstr("if replayed"), HasSubstr("binding moment: as op"),
                             HasSubstr("\nwhy no plan has less than "), HasSubstr("first runs, "),
                             ContainsRegex("\nthe next 750 B: .* less overhead, ")));
  const auto report = plan_json({"--memory", "6000", "--explain"});
  EXPECT_THAT(keys_of(report["explanation"]),
              ElementsAre("kept", "replayed", "binding_moment", "bound", "next"));
  EXPECT_EQ(report["explanation"]["binding_moment"]["live_bytes"], report["predicted_peak_bytes"]);
  EXPECT_EQ(report["explanation"]["next"]["bytes"], 750);  // a quarter of the way to 9002
  const auto then = plan_json({"--memory", "6750"});
  EXPECT_EQ(report["explanation"]["next"]["saved_ns"],
            report["predicted_time_ns"].get<int>() - then["predicted_time_ns"].get<int>());
}

TEST_F(PlanVerb, ExplainsLongNamesInEightyColumns) {
  auto graph = graph_;
  for (auto& op : graph.ops) {
    op.name = "transformer.encoder.layers.self_attention.projection.dense: aten::" + op.name +
              " aten::native_layer_norm aten::mul_ aten::add_";
  }
  const TemporaryFile named(to_json(graph));
  const auto run =
      run_here({"plan", named.path(), "--effort", "200000", "--memory", "6000", "--explain"});
  ASSERT_EQ(run.status, kDone) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("dropped and replayed: "), HasSubstr("transformer"),
                             HasSubstr(" mul_ add_  ")));
  for (const auto& line : lines_of(run.out)) EXPECT_LE(line.size(), 80U) << line;
}

TEST_F(PlanVerb, ExplainsThePlainStepAndPlacements) {
  const auto plain = plan_json({"--memory", "1GiB", "--explain"})["explanation"];
  EXPECT_THAT(keys_of(plain), ElementsAre("kept", "replayed", "binding_moment"));
  EXPECT_THAT(plain["replayed"], IsEmpty());
  EXPECT_THAT(plan({"--memory", "1GiB", "--explain"}).out,
              HasSubstr("dropped and replayed: nothing"));
  const auto placed = plan_json({"--memory", "8000", "--planner", "sqrt", "--explain"});
  EXPECT_FALSE(placed["explanation"].contains("next"));
}

TEST_F(PlanVerb, RefusesWhatCannotBe) {
  const TemporaryFile plan_file(
      to_json(Plan{"built", Bytes(1), {}, Bytes(1), {}, {}, {}, "", 0, ""}));
  const TemporaryFile text("some text");
  const TemporaryFile future(R"({"format": "remat.opgraph/2"})");
  const TemporaryFile nameless("{}");
  const std::string file = file_.path();
  struct BadInput {
    Arguments arguments;
    std::vector<std::string> said;
  };
  const std::vector<BadInput> cases = {
      {{}, {"FILE is required", "remat plan net.json --memory 8GiB"}},
      {{file}, {"--memory is required", "--memory 8GiB"}},
      {{file, "--memory", "lots"}, {"--memory", "\"lots\"", "MiB"}},
      {{file, "--memory", "-5"}, {"--memory", "-5"}},
      {{file, "--memory", "1GiB", "--planner", "best"},
       {"--planner", "must be auto, graph, chain, revolve:S", "every:K", "not \"best\""}},
      {{file, "--memory", "1GiB", "--planner", "revolve:0"}, {"--planner", "\"revolve:0\""}},
      {{file, "--memory", "1GiB", "--planner", "every:0"}, {"--planner", "\"every:0\""}},
      {{file, "--memory", "1GiB", "--planner", "chain"},
       {"--planner chain is for chains", "op graph", "--planner graph"}},
      {{file, "--memory", "1GiB", "--planner", "revolve:3"}, {"--planner revolve:3", "op graph"}},
      {{file, "--memory", "1GiB", "--planner", "segments:99"}, {"segments:99", "8"}},
      {{file, "--memory", "1GiB", "--effort", "0"}, {"--effort", "\"0\""}},
      {{file, "--memory", "1GiB", "--time-limit", "0"}, {"--time-limit", "\"0\""}},
      {{file, "--memory", "1GiB", "--warm-start", "/no/such"}, {"--warm-start /no/such"}},
      {{file, "--memory", "1GiB", "--warm-start", file}, {file, "remat.plan/1"}},
      {{file, "--memory", "1GiB", "--warm-start", plan_file.path()}, {"not one for this graph"}},
      {{file, "--memory", "1GiB", "--planner", "sqrt", "--warm-start", plan_file.path()},
       {"--warm-start with --planner sqrt", "--planner graph"}},
      {{file, "--sweep", "0"}, {"--sweep", "\"0\""}},
      {{file, "--sweep", "3", "--planner", "sqrt"}, {"--sweep with --planner sqrt"}},
      {{file, "--sweep", "3", "--warm-start", plan_file.path()}, {"--sweep with --warm-start"}},
      {{file, "--sweep", "3", "--out", "plan.json"}, {"--out with --sweep", "--memory 8GiB"}},
      {{file, "--sweep", "3", "--explain"}, {"--explain with --sweep", "--memory 8GiB"}},
      {{"/no/such", "--memory", "1GiB"}, {"FILE /no/such", "No such file"}},
      {{"/tmp", "--memory", "1GiB"}, {"FILE /tmp", "not a regular file"}},
      {{text.path(), "--memory", "1GiB"}, {text.path(), "JSON"}},
      {{nameless.path(), "--memory", "1GiB"}, {nameless.path(), "format"}},
      {{future.path(), "--memory", "1GiB"}, {future.path(), "format", "remat.opgraph/2"}},
      {{plan_file.path(), "--memory", "1GiB"},
       {plan_file.path(), "format", "remat.plan/1", "remat.opgraph/1", "remat.chain/1"}},
  };
  for (const auto& [arguments, said] : cases) {
    SCOPED_TRACE(::testing::PrintToString(arguments));
    auto all = arguments;
    all.insert(all.begin(), "plan");
    const auto run = run_here(all);
    EXPECT_EQ(run.status, kUsage);
    EXPECT_THAT(run.out, IsEmpty());
    EXPECT_THAT(lines_of(run.err), ::testing::SizeIs(1)) << run.err;
    for (const auto& what : said) EXPECT_THAT(run.err, HasSubstr(what));
  }
}

TEST_F(PlanVerb, FailsBeforeTheSearchWhereThePlanCannotBeWritten) {
  const auto run = run_here({"plan", file_.path(), "--memory", "6000", "--effort", "900000000000",
                             "--out", "/no/such/plan.json"});
  EXPECT_EQ(run.status, kFailed);
  EXPECT_THAT(run.err, AllOf(HasSubstr("--out /no/such/plan.json"), HasSubstr("No such file")));
  EXPECT_THAT(run.out, IsEmpty());
}

TEST_F(PlanVerb, GivesItsStatusToTheShell) {
  EXPECT_EQ(run_remat({"plan", file_.path(), "--memory", "1500", "--effort", "1000"}).status, 3);
  EXPECT_EQ(run_remat({"plan", file_.path(), "--memory", "1GiB"}).status, 0);
}

// Nine stages; the plain step takes 8 * 35 + 3 ns.
Chain chain_of_blocks() {
  using std::chrono::nanoseconds;
  Chain chain;
  chain.name = "blocks";
  chain.device = "none";
  chain.fixed = Bytes(500);
  chain.input = Bytes(100);
  for (int i = 0; i < 8; ++i) {
    Stage stage{"block" + std::to_string(i), Bytes(100), {}, nanoseconds(10), Bytes(), {}};
    stage.options.push_back(
        {"all", Bytes(1000), nanoseconds(11), Bytes(), nanoseconds(24), Bytes()});
    stage.options.push_back(
        {"few", Bytes(400), nanoseconds(11), Bytes(), nanoseconds(29), Bytes()});
    chain.stages.push_back(stage);
  }
  Stage loss{"loss", Bytes(1), {}, nanoseconds(1), Bytes(), {}};
  loss.options.push_back({"all", Bytes(50), nanoseconds(1), Bytes(), nanoseconds(2), Bytes()});
  chain.stages.push_back(loss);
  return chain;
}

class PlanVerbOnChains : public ::testing::Test {
 protected:
  ProgramRun plan(Arguments arguments) const {
    arguments.insert(arguments.begin(), {"plan", file_.path()});
    return run_here(arguments);
  }
  Json plan_json(Arguments more) const {
    more.emplace_back("--json");
    return Json::parse(plan(more).out);
  }

  Chain chain_ = chain_of_blocks();
  TemporaryFile file_{to_json(chain_)};
};

TEST_F(PlanVerbOnChains, WritesPlansOfEachPlanner) {
  const TemporaryFile out("");
  const std::string checker = REMAT_SHARED "/tools/check_plan.py";
  for (const char* planner : {"auto", "chain", "sqrt", "every:2", "segments:3", "revolve:3"}) {
    const auto report = plan_json({"--memory", "6000", "--planner", planner, "--out", out.path()});
    EXPECT_EQ(report["planner"], std::string(planner) == "auto" ? "chain" : planner);
    std::ostringstream text;
    text << std::ifstream(out.path()).rdbuf();
    const auto simulation = simulate(chain_, read_chain_plan(text.str(), out.path()));
    ASSERT_TRUE(simulation.valid()) << planner;
    EXPECT_EQ(report["predicted_peak_bytes"], simulation.peak.count());
    EXPECT_EQ(report["predicted_time_ns"], simulation.time.count());
    EXPECT_EQ(report["plain_time_ns"], 283);
    EXPECT_GE(report["predicted_time_ns"], report["lower_bound_time_ns"]);
    if (!std::filesystem::exists(checker)) continue;
    const auto command = fmt::format("python3 -B '{}' '{}' '{}' --budget 6000 > /dev/null", checker,
                                     file_.path(), out.path());
    EXPECT_EQ(std::system(command.c_str()), 0) << planner;  // NOLINT(concurrency-mt-unsafe)
  }
}

TEST_F(PlanVerbOnChains, SweepWithTimesThatNeverGrow) {
  const auto list = plan_json({"--sweep", "12"});
  ASSERT_EQ(list.size(), 12U);
  EXPECT_EQ(list.front()["budget_bytes"], list.front()["min_feasible_bytes"]);
  EXPECT_EQ(list.back()["predicted_time_ns"], 283);
  for (std::size_t i = 1; i < list.size(); ++i) {
    EXPECT_LE(list[i]["predicted_time_ns"], list[i - 1]["predicted_time_ns"]);
  }
}

TEST_F(PlanVerbOnChains, TakeNoLongerThanThePlanToStartFrom) {
  const TemporaryFile out("");
  const auto first = plan_json({"--memory", "5000", "--out", out.path()});
  const auto second = plan_json({"--memory", "5001", "--warm-start", out.path()});
  EXPECT_LE(second["predicted_time_ns"], first["predicted_time_ns"]);
  const TemporaryFile other(to_json(ChainPlan{"blocks", Bytes(1), {}, Bytes(1), {}, ""}));
  const auto refused = plan({"--memory", "5000", "--warm-start", other.path()});
  EXPECT_EQ(refused.status, kUsage);
  EXPECT_THAT(refused.err, HasSubstr("the plan to start from is not one for chain \"blocks\""));
}

TEST_F(PlanVerbOnChains, ExitWithThreeWhereNothingFits) {
  const auto run = plan({"--memory", "1000", "--json"});
  EXPECT_EQ(run.status, kNoPlanFits);
  const auto report = Json::parse(run.out);
  EXPECT_EQ(report["feasible"], false);
  EXPECT_EQ(report["stopped_by"], "infeasible");
  const auto smallest = std::to_string(report["min_feasible_bytes"].get<std::int64_t>());
  EXPECT_THAT(run.err, HasSubstr("--memory " + smallest + " or more"));
  EXPECT_EQ(plan({"--memory", smallest}).status, kDone);
}

TEST_F(PlanVerbOnChains, AreExplained) {
  const auto run = plan({"--memory", "3000", "--explain"});
  EXPECT_THAT(run.out, AllOf(HasSubstr("\"blocks\": chain of 9 stages"), HasSubstr("stages, saved"),
                             HasSubstr("dropped and replayed: "), HasSubstr("binding moment: as "),
                             HasSubstr("\nthe next ")));
  EXPECT_THAT(keys_of(plan_json({"--memory", "3000", "--explain"})["explanation"]),
              ElementsAre("kept", "replayed", "binding_moment", "next"));
}

TEST_F(PlanVerbOnChains, RefuseThePlannerOfOpGraphs) {
  const auto run = plan({"--memory", "3000", "--planner", "graph"});
  EXPECT_EQ(run.status, kUsage);
  EXPECT_THAT(run.err, AllOf(HasSubstr("--planner graph is for op graphs"),
                             HasSubstr("give --planner chain")));
}

TEST(PlanHelp, NamesEachFlag) {
  const auto help = run_here({"plan", "--help"});
  EXPECT_EQ(help.status, kDone);
  for (const char* said :
       {"FILE", "--memory", "--planner", "--effort", "--time-limit", "--warm-start", "--sweep",
        "--explain", "--out", "--json", "auto, graph, chain, revolve:S",
        "every:K, segments:N or sqrt", "Exit status: 3"}) {
    EXPECT_THAT(help.out, HasSubstr(said));
  }
  EXPECT_THAT(run_here({"--help"}).out, AllOf(HasSubstr("plan"), HasSubstr("3 no plan fits")));
}

}  // namespace
}  // namespace remat::cli

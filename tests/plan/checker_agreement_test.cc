// The simulator and the independent checker of plans, ../shared/tools/check_plan.py, on the same plans.
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <remat/simulator.h>

#include "tests/testing/random_chain.h"
#include "tests/testing/random_op_graph.h"
#include "tests/testing/temporary_file.h"

namespace remat {
namespace {

using testing::RandomChoices;

const std::string kChecker = REMAT_SHARED "/tools/check_plan.py";
const std::string kDriver = REMAT_SOURCE_DIR "/tests/plan/run_checker.py";

std::string on_one_line(std::string json) {
  std::replace(json.begin(), json.end(), '\n', ' ');
  return json;
}

// As run_checker.py prints it.
std::string verdict(const Simulation& simulation, std::size_t actions) {
  if (!simulation.valid()) {
    const auto action = simulation.fault->action;
    return action == static_cast<std::int64_t>(actions) ? "invalid end"
                                                        : fmt::format("invalid {}", action);
  }
  return fmt::format("valid {} {} {} {}", simulation.peak.count(), simulation.time.count(),
                     simulation.plain_time.count(), simulation.recomputed);
}

std::vector<std::string> lines_of_command(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  EXPECT_NE(pipe, nullptr) << command;
  std::vector<std::string> lines;
  std::array<char, 512> line{};
  while (pipe && std::fgets(line.data(), line.size(), pipe.get()) != nullptr) {
    lines.emplace_back(line.data());
    lines.back().pop_back();
  }
  return lines;
}

// Collects cases, then compares all at once: starting Python takes longer than checking a plan.
class CheckerAgreement : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kChecker)) {
      GTEST_SKIP() << "there is no " << kChecker << ": set REMAT_SHARED when configuring";
    }
  }

  template <class Graph, class PlanOfIt>
  void add(const Graph& graph, const PlanOfIt& plan) {
    cases_ += fmt::format("{{\"graph\": {}, \"plan\": {}}}\n", on_one_line(to_json(graph)),
                          on_one_line(to_json(plan)));
    ours_.push_back(verdict(simulate(graph, plan), plan.actions.size()));
  }

  void expect_agreement() const {
    const testing::TemporaryFile file(cases_);
    const auto theirs =
        lines_of_command(fmt::format("python3 -B '{}' '{}' '{}'", kDriver, kChecker, file.path()));
    ASSERT_EQ(theirs.size(), ours_.size());
    for (std::size_t i = 0; i < ours_.size(); ++i) {
      const auto ours = theirs[i] == "invalid ?" ? ours_[i].substr(0, 8) + "?" : ours_[i];
      EXPECT_EQ(ours, theirs[i]) << "case " << i;
    }
    // Enough of both kinds.
    const auto is_valid = [](const std::string& line) { return line.rfind("valid", 0) == 0; };
    const auto valid = std::count_if(theirs.begin(), theirs.end(), is_valid);
    EXPECT_GT(4 * static_cast<std::size_t>(valid), theirs.size());
    EXPECT_LT(8 * static_cast<std::size_t>(valid), 7 * theirs.size());
  }

  std::string cases_;
  std::vector<std::string> ours_;
};

TEST_F(CheckerAgreement, OnFourThousandPlansOfOpGraphs) {
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    RandomChoices choices(seed);
    const auto graph = testing::random_op_graph(choices);
    auto plan = testing::random_plan(graph, choices);
    for (auto changes = seed % 3; changes > 0; --changes) {
      testing::change_one(plan.actions, choices,
                          [&] { return testing::random_action(graph, choices); });
    }
    add(graph, plan);
  }
  expect_agreement();
}

TEST_F(CheckerAgreement, OnFourThousandPlansOfChains) {
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    RandomChoices choices(seed);
    const auto chain = testing::random_chain(choices);
    auto plan = testing::random_chain_plan(chain, choices);
    for (auto changes = seed % 3; changes > 0; --changes) {
      testing::change_one(plan.actions, choices,
                          [&] { return testing::random_chain_action(chain, choices); });
    }
    add(chain, plan);
  }
  expect_agreement();
}

}  // namespace
}  // namespace remat

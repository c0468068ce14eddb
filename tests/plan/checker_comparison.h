// The simulator and the independent checker of plans, ../shared/tools/check_plan.py, on the same plans.
#pragma once

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

#include "tests/testing/temporary_file.h"

namespace remat::testing {

/// Collects cases, then compares all at once: starting Python takes longer than checking a plan.
class CheckerComparison {
 public:
  static std::string checker() { return REMAT_SHARED "/tools/check_plan.py"; }
  static bool is_there() { return std::filesystem::exists(checker()); }

  template <class Graph, class PlanOfIt>
  void add(const Graph& graph, const PlanOfIt& plan) {
    cases_ += fmt::format("{{\"graph\": {}, \"plan\": {}}}\n", on_one_line(to_json(graph)),
                          on_one_line(to_json(plan)));
    ours_.push_back(verdict(simulate(graph, plan), plan.actions.size()));
  }

  /// Compares, and tells how many plans both found valid.
  std::size_t expect_agreement() const {
    const TemporaryFile file(cases_);
    const auto driver = std::string(REMAT_SOURCE_DIR "/tests/plan/run_checker.py");
    const auto theirs =
        lines_of_command(fmt::format("python3 -B '{}' '{}' '{}'", driver, checker(), file.path()));
    EXPECT_EQ(theirs.size(), ours_.size());
    std::size_t valid = 0;
    for (std::size_t i = 0; i < std::min(ours_.size(), theirs.size()); ++i) {
      const auto ours = theirs[i] == "invalid ?" ? ours_[i].substr(0, 8) + "?" : ours_[i];
      EXPECT_EQ(ours, theirs[i]) << "case " << i;
      valid += theirs[i].rfind("valid", 0) == 0 ? 1U : 0U;
    }
    return valid;
  }

 private:
  static std::string on_one_line(std::string json) {
    std::replace(json.begin(), json.end(), '\n', ' ');
    return json;
  }

  // As run_checker.py prints it.
  static std::string verdict(const Simulation& simulation, std::size_t actions) {
    if (!simulation.valid()) {
      const auto action = simulation.fault->action;
      return action == static_cast<std::int64_t>(actions) ? "invalid end"
                                                          : fmt::format("invalid {}", action);
    }
    return fmt::format("valid {} {} {} {}", simulation.peak.count(), simulation.time.count(),
                       simulation.plain_time.count(), simulation.recomputed);
  }

  static std::vector<std::string> lines_of_command(const std::string& command) {
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

  std::string cases_;
  std::vector<std::string> ours_;
};

}  // namespace remat::testing

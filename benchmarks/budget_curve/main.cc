// What does a budget cost? Plain steps, steps under the policies of regions, and steps within budgets take
// turns in one process.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <torch/optim/adamw.h>

#include <remat/budget.h>
#include <remat/graph.h>
#include <remat/memory.h>

#include "budget_curve/workloads.h"
#include "common/instant.h"
#include "common/machine.h"
#include "common/statistics.h"

namespace remat::benchmarks {
namespace {

constexpr const char* kNothingDrops = "nothing drops";

struct Arguments {
  std::vector<std::string> workloads = workload_names();
  int rounds = 9;
  std::int64_t effort = 0;
  std::string graphs;
  bool smoke = false;
};

class Training {
 public:
  explicit Training(const Workload& workload)
      : workload_(workload),
        optimizer_(workload.model->parameters(), torch::optim::AdamWOptions(1e-4)) {}

  void step(const Placement& placement) {
    optimizer_.zero_grad();
    workload_.loss(placement).backward();
    optimizer_.step();
  }

 private:
  const Workload& workload_;
  torch::optim::AdamW optimizer_;
};

struct Peak {
  Bytes fixed, peak;
};

Peak peak_of(const std::function<void()>& step) {
  const Bytes fixed = *live_cpu_bytes();
  MemoryTracker tracker;
  step();
  return {fixed, fixed + tracker.peak_bytes()};
}

double milliseconds_of(const std::function<void()>& step) {
  const Instant begin;
  step();
  return static_cast<double>((Instant() - begin).processor_ns) / 1e6;
}

/// Time of `step` beside that of `plain`, which take turns.
std::vector<double> ratios(int rounds, const std::function<void()>& plain,
                           const std::function<void()>& step) {
  std::vector<double> found;
  for (int round = 0; round < rounds; ++round) {
    const double before = milliseconds_of(plain);
    const double taken = milliseconds_of(step);
    const double after = milliseconds_of(plain);
    found.push_back(taken / ((before + after) / 2));
  }
  return found;
}

double mebibytes(Bytes bytes) { return static_cast<double>(bytes.count()) / (1 << 20); }

double percent_over(std::chrono::nanoseconds time, std::chrono::nanoseconds plain) {
  return 100 * (static_cast<double>(time.count()) / static_cast<double>(plain.count()) - 1);
}

void print_row(const std::string& name, Bytes peak, const std::vector<double>& found,
               const std::optional<BudgetReport>& report) {
  std::string predicted = "      -       -       -";
  if (report) {
    predicted = fmt::format(
        "{:+7.2f} {:+7.2f} {:7}", percent_over(report->predicted_time, report->plain_time),
        percent_over(report->lower_bound_time, report->plain_time), report->replays);
  }
  fmt::print("  {:<14} {:9.1f} {:+8.2f} ±{:<5.2f} {}{}\n", name, mebibytes(peak),
             100 * (median(found) - 1), 100 * spread(found), predicted,
             report && !report->planned ? "  (no plan held)" : "");
  std::fflush(stdout);
}

class Curve {
 public:
  Curve(const std::string& name, const Arguments& arguments)
      : rounds_(arguments.smoke ? 1 : arguments.rounds),
        effort_(arguments.effort),
        graphs_(arguments.graphs),
        workload_(make_workload(name, arguments.smoke)),
        training_(workload_) {}

  void run() {
    for (int i = 0; i < 2; ++i) plain_();
    plain_peak_ = peak_of(plain_);
    fmt::print("{}: fixed {:.1f} MiB, plain peak {:.1f} MiB\n", workload_.name,
               mebibytes(plain_peak_.fixed), mebibytes(plain_peak_.peak));
    fmt::print("  {:<14} {:>9} {:>15} {:>7} {:>7} {:>7}\n", "", "peak MiB", "measured %", "plan %",
               "bound %", "replays");
    std::vector<std::pair<std::string, Bytes>> budgets = {{kNothingDrops, 2 * plain_peak_.peak}};
    for (const int share : {80, 60, 50, 40, 33}) {
      const Bytes activations = plain_peak_.peak - plain_peak_.fixed;
      budgets.emplace_back(fmt::format("budget {} %", share),
                           plain_peak_.fixed + Bytes(activations.count() * share / 100));
    }
    run_regions(budgets);
    for (const auto& [name, memory] : budgets) run_budget(name, memory);
  }

 private:
  /// Each policy, and the budget that is its peak.
  void run_regions(std::vector<std::pair<std::string, Bytes>>& budgets) {
    for (const char* policy : {"full", "sqrt", "every:2"}) {
      const Placement placement = Placement::parse(policy);
      const auto step = [&] { training_.step(placement); };
      step();
      const Bytes peak = peak_of(step).peak;
      print_row(policy, peak, ratios(rounds_, plain_, step), std::nullopt);
      budgets.emplace_back(fmt::format("as {}", policy), peak);
    }
  }

  void run_budget(const std::string& name, Bytes memory) {
    try {
      Budget budget({memory, effort_});
      const auto step = [&] {
        const Step scope(budget);
        plain_();
      };
      for (int i = 0; i < 6 && !(budget.report().planned && !budget.report().audited); ++i) step();
      const std::vector<double> found = ratios(rounds_, plain_, step);
      print_row(name, budget.report().tracked_peak, found, budget.report());
      if (name == kNothingDrops && !graphs_.empty()) {
        std::ofstream(graphs_ + "/" + workload_.name + ".opgraph.json") << to_json(*budget.graph());
      }
    } catch (const BudgetError& error) {
      fmt::print("  {:<14} {}\n", name, error.what());
    }
  }

  int rounds_;
  std::int64_t effort_;
  std::string graphs_;
  Workload workload_;
  Training training_;
  std::function<void()> plain_ = [this] { training_.step(Placement::none()); };
  Peak plain_peak_;
};

void run(const Arguments& arguments) {
  remat::use_huge_page_allocator();
  fmt::print("{}\n", describe_machine());
  for (const std::string& name : arguments.workloads) Curve(name, arguments).run();
}

}  // namespace
}  // namespace remat::benchmarks

int main(int argc, char** argv) {
  remat::benchmarks::Arguments arguments;
  CLI::App app("What does a budget cost?");
  app.add_option("models", arguments.workloads, "All of them if none is named")
      ->check(CLI::IsMember(remat::benchmarks::workload_names()));
  app.add_option("--rounds", arguments.rounds, "How often each contender takes its turn")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--effort", arguments.effort,
                 "Operators that the search for a plan simulates at most; 0: as many as usual");
  app.add_option("--graphs", arguments.graphs,
                 "Write each model's step to MODEL.opgraph.json in this folder, for `remat plan`");
  app.add_flag("--smoke", arguments.smoke, "Small models and one round, to try this program");
  CLI11_PARSE(app, argc, argv);
  try {
    remat::benchmarks::run(arguments);
  } catch (const std::exception& error) {
    fmt::print(stderr, "budget_curve: {}\n", error.what());
    return 1;
  }
  return 0;
}

// How does the time of a planner grow with the size of its problem?
#include <cstdint>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <remat/chain_planner.h>
#include <remat/planner.h>

#include "common/processor.h"
#include "planner_time/measured.h"
#include "planner_time/problems.h"
#include "tests/plan/transformer_step.h"

namespace remat::benchmarks {
namespace {

struct Sizes {
  int runs = 3;
  std::vector<std::int64_t> different = {20, 40, 80, 120, 200};
  std::vector<std::int64_t> of_three_kinds = {80, 240};
  std::vector<std::int64_t> equal = {100, 300, 1000};
  std::vector<std::int64_t> revolve = {1000, 10'000, 100'000};
  std::vector<std::int64_t> levels = {100, 300, 1000};
  std::vector<std::int64_t> layers = {25, 100, 400, 1600, 5000};
  std::int64_t blocks = 80;
};

Sizes smoke_sizes() { return {1, {10}, {12}, {30}, {1000}, {50}, {5}, 10}; }

std::string percent_above(std::chrono::nanoseconds time, std::chrono::nanoseconds plain) {
  const auto more = time - plain;
  return fmt::format("+{:.2f} %",
                     100 * static_cast<double>(more.count()) / static_cast<double>(plain.count()));
}

// Time above the plain step.
template <class Result>
std::string overhead(const Result& result, std::chrono::nanoseconds plain) {
  return result.feasible ? percent_above(result.plan.predicted_time, plain) : "no plan";
}

class Program {
 public:
  explicit Program(Sizes sizes) : sizes_(std::move(sizes)) {}

  std::vector<Measured> run() {
    for (const auto n : sizes_.different) time_chain("different stages", n, n);
    for (const auto n : sizes_.of_three_kinds) time_chain("stages of 3 kinds", n, 3);
    for (const auto n : sizes_.equal) time_chain("equal stages", n, 1);
    for (const auto n : sizes_.revolve) time_revolve(n);
    for (const auto n : sizes_.levels) time_levels(n);
    for (const auto n : sizes_.layers) time_graph(n);
    for (const std::int64_t parts : {1, 10}) time_decoder(parts);
    return std::move(rows_);
  }

 private:
  void add(const std::string& planner, const std::string& problem, std::int64_t size,
           const std::function<std::string()>& plan) {
    std::cerr << planner << ", " << size << " " << problem << "\n";
    rows_.push_back(
        measure({planner, problem, std::to_string(size), {}, 0, ""}, sizes_.runs, plan));
  }

  void time_chain(const std::string& problem, std::int64_t stages, std::int64_t kinds) {
    const auto chain = chain_of(stages, kinds);
    const auto plain_peak = plan_chain(chain, {}).plain_peak;
    for (const int per_cent : {50, 25}) {
      ChainPlanOptions options;
      options.memory = plain_peak / 100 * per_cent;
      add(fmt::format("plan_chain, {} %", per_cent), problem, stages, [&] {
        const auto result = plan_chain(chain, options);
        return fmt::format(
            "{}, {}", overhead(result, result.plain_time),
            result.optimal_persistent ? "exact" : "slots of " + result.slot.to_string());
      });
    }
  }

  void time_revolve(std::int64_t stages) {
    const auto chain = chain_of(stages, 1);
    add("plan_chain_revolve, 10 slots", "equal stages", stages,
        [&] { return fmt::format("{} actions", plan_chain_revolve(chain, 10).actions.size()); });
  }

  void time_levels(std::int64_t steps) {
    StepTimes times;
    times.forward = std::chrono::nanoseconds(10);
    times.reverse = std::chrono::nanoseconds(20);
    std::vector<StorageLevel> levels(3);
    for (std::size_t k = 0; k < levels.size(); ++k) {
      levels[k].slots = std::int64_t{4} << k;
      levels[k].write = levels[k].read = std::chrono::nanoseconds(5 * k);
    }
    add("plan_levels, 4, 8 and 16 slots", "steps", steps, [&] {
      return fmt::format("{} actions", plan_levels(steps, times, levels).actions.size());
    });
  }

  void time_graph(std::int64_t layers) {
    const auto graph = graph_of(layers);
    time_graph("plan_graph, 50 %", "ops", graph, plain_peak(graph) / 2);
  }

  // At half and a third of what the plain step needs above its fixed bytes.
  void time_decoder(std::int64_t attention_parts) {
    testing::DecoderSizes sizes;
    sizes.blocks = sizes_.blocks;
    sizes.attention_parts = attention_parts;
    const auto graph = testing::transformer_step(sizes);
    const auto activations = plain_peak(graph) - graph.fixed;
    for (const int per_cent : {50, 33}) {
      time_graph(fmt::format("plan_graph, {} % of activations", per_cent),
                 fmt::format("ops, {} decoder blocks", sizes.blocks), graph,
                 graph.fixed + activations / 100 * per_cent);
    }
  }

  static Bytes plain_peak(const OpGraph& graph) {
    GraphPlanOptions plain;
    plain.memory = Bytes(std::int64_t{1} << 62);
    return plan_graph(graph, plain).plain_peak;
  }

  void time_graph(const std::string& planner, const std::string& problem, const OpGraph& graph,
                  Bytes memory) {
    GraphPlanOptions options;
    options.effort = sizes_.runs == 1 ? 10'000 : 0;
    options.memory = memory;
    add(planner, problem, static_cast<std::int64_t>(graph.ops.size()), [&] {
      const auto result = plan_graph(graph, options);
      return fmt::format("{}, bound {}", overhead(result, result.plan.plain_time),
                         percent_above(result.plan.lower_bound_time, result.plan.plain_time));
    });
  }

  Sizes sizes_;
  std::vector<Measured> rows_;
};

int run(int argc, char** argv) {
  const bool smoke = argc == 2 && std::string(argv[1]) == "--smoke";
  if (argc > 1 && !smoke) {
    std::cerr << "usage: planner_time [--smoke]\n";
    return 2;
  }
  const auto rows = Program(smoke ? smoke_sizes() : Sizes()).run();
  std::cout
      << describe_processor() << "\n"
      << "s: median processor time of " << rows.front().seconds.size()
      << " runs. MiB: what a run adds to the resident memory. Budgets in % of the plain peak.\n\n"
      << to_table(rows);
  return 0;
}

}  // namespace
}  // namespace remat::benchmarks

int main(int argc, char** argv) { return remat::benchmarks::run(argc, argv); }

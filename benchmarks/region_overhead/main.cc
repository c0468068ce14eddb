// What does a region's forward cost per operator and per saved tensor when nothing is recomputed?
#include <chrono>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <ATen/Parallel.h>

#include "region_overhead/chain.h"
#include "region_overhead/comparison.h"

namespace remat::benchmarks {
namespace {

// Times the forward alone: the graph is released between iterations.
void time_forward(benchmark::State& state, const Chain& chain, Forward forward) {
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    const at::Tensor y = forward(chain);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(time.count());
  }
}

void add_contender(const std::string& name, Forward forward, const std::vector<Chain>& chains) {
  for (const Chain& chain : chains) {
    const auto run = [&chain, forward](benchmark::State& state) {
      time_forward(state, chain, forward);
    };
    benchmark::RegisterBenchmark(title(name, chain).c_str(), run)->UseManualTime();
  }
}

// Flags before the user's own, which win: many short repetitions, in random order over both
// contenders.
std::vector<char*> with_defaults(int argc, char** argv) {
  static std::vector<std::string> defaults = {"--benchmark_repetitions=101",
                                              "--benchmark_min_time=0.002",
                                              "--benchmark_enable_random_interleaving=true"};
  std::vector<char*> arguments = {argv[0]};
  for (std::string& flag : defaults) {
    arguments.push_back(flag.data());
  }
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  return arguments;
}

int run(int argc, char** argv) {
  std::vector<char*> arguments = with_defaults(argc, argv);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) {
    return 2;
  }
  at::set_num_threads(1);
  const std::vector<Chain> chains = all_chains();
  add_contender("plain", plain_forward, chains);
  add_contender("region", region_forward, chains);
  Comparison comparison(chains);
  benchmark::RunSpecifiedBenchmarks(&comparison);
  return 0;
}

}  // namespace
}  // namespace remat::benchmarks

int main(int argc, char** argv) { return remat::benchmarks::run(argc, argv); }

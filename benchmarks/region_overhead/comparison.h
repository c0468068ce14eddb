// Turns the runs of both contenders into one table of differences.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "region_overhead/chain.h"

namespace remat::benchmarks {

/// Collects runs titled "contender/chain/length" and prints a line for each chain, in the order given.
class Comparison : public benchmark::BenchmarkReporter {
 public:
  explicit Comparison(const std::vector<Chain>& chains) : chains_(chains) {}

  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;
  void Finalize() override;

 private:
  const std::vector<Chain>& chains_;
  std::map<std::string, std::vector<double>> forward_ns_;  // by title, one for each repetition
};

}  // namespace remat::benchmarks

// What a run of a planner costs.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace remat::benchmarks {

struct Measured {
  std::string planner;
  std::string problem;
  std::string size;
  std::vector<double> seconds;  ///< of processor time, of each run
  double mebibytes = 0;         ///< the largest growth of what was resident, of any run
  std::string result;           ///< what tells that it did its work
};

/// Runs `plan`, which returns what to show of its result, so many times.
Measured measure(Measured what, int runs, const std::function<std::string()>& plan);

std::string to_table(const std::vector<Measured>& rows);

}  // namespace remat::benchmarks

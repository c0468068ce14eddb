// Checkmate's plans for measured steps: what remat's are compared with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace remat::benchmarks {

/// Overheads in per cent of the step that recomputes nothing.
struct PublishedRow {
  std::string graph;  ///< the profile's file is graph + ".opgraph.json"
  std::int64_t budget_gib = 0;
  std::optional<double>
      overhead;  ///< of the best plan found in 24 hours; empty: proven that there is none
  std::optional<double> bound;  ///< what Gurobi proved in that time
};

/// Source: the logs in github.com/utsaslab/monet-schedules at 8ab745f, Checkmate (Jain et al. 2020,
///         arXiv:1910.02653) solved with Gurobi.
std::vector<PublishedRow> published_rows();

}  // namespace remat::benchmarks

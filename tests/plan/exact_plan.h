// The best plan for a small op graph, by looking at all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <remat/graph.h>

namespace remat::testing {

struct ExactAnswer {
  bool finished = false;  ///< false: there were more states than allowed
  /// Of the best plan; empty if no plan fits.
  std::optional<std::int64_t> least;
};

/// The least time, in ns, of a plan with at most this peak. Ops run in any order that remat.plan/1 allows.
/// Graphs of at most 64 values.
ExactAnswer least_time(const OpGraph& graph, Bytes budget, std::size_t most_states);

/// The least peak of any plan, in bytes.
ExactAnswer least_peak(const OpGraph& graph, std::size_t most_states);

}  // namespace remat::testing

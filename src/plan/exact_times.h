// A table of times by bytes, nothing rounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "plan/chain_model.h"
#include "plan/chain_segments.h"
#include "plan/segment_times.h"

namespace remat::plan {

/// For each segment the times that more and more memory buys, as the steps of a function.
class ExactTimes : public SegmentTimes {
 public:
  struct Problem {
    const ChainModel& model;
    const ChainSegments& segments;
    std::int64_t room = 0;
    /// A time known to be reached for the whole chain. What can only be part of slower plans is left out.
    std::int64_t known_time = 0;
  };

  /// Nothing if it would take more than `effort`: steps of functions read.
  static std::optional<ExactTimes> solve(const Problem& problem, std::int64_t effort);

  std::int64_t time(ChainSegment segment, std::int64_t room) const override;

 private:
  struct Step {
    std::int64_t bytes = 0;
    std::int64_t time = 0;
  };
  using Steps = std::vector<Step>;
  struct Move;
  class Part;
  class Sum;

  explicit ExactTimes(const Problem& problem)
      : segments_(problem.segments), rows_(problem.segments.different().size()) {}
  std::vector<Move> moves_of(const ChainModel& model, ChainSegment segment) const;
  // These two return the steps read.
  std::int64_t improve(Steps& best, const Move& move, Step limits);
  std::int64_t solve_row(const Problem& problem, std::size_t row);

  const ChainSegments& segments_;
  std::vector<Steps> rows_;
  Steps won_;
  Steps merged_;
};

}  // namespace remat::plan

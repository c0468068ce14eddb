// From a table of times to a plan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <remat/graph.h>

#include "plan/chain_model.h"
#include "plan/least_room.h"
#include "plan/segment_times.h"

namespace remat::plan {

/// Decides again what the table's makers decided, with the bytes that are really left: of what rounding up
/// lost, a part is found again here.
class ChainSchedule {
 public:
  /// Precondition: the room is at least the least room of the whole chain.
  ChainSchedule(const ChainModel& model, const SegmentTimes& times, const LeastRoom& least);

  /// Always a plan that fits, whatever the table does not know.
  std::vector<ChainAction> actions(std::int64_t room);

 private:
  // Saves by `option`, or, where it is null, runs to stage `to`.
  struct Choice {
    std::int64_t time = kNever + 1;  // while there is none
    const ModelOption* option = nullptr;
    std::size_t to = 0;
  };

  Choice choose(ChainSegment segment, std::int64_t room) const;
  bool fits(ChainSegment segment, std::int64_t room) const;
  std::int64_t time(ChainSegment segment, std::int64_t room) const;
  void reverse(ChainSegment segment, std::int64_t room);
  void run(ChainSegment segment);

  const ChainModel& model_;
  const SegmentTimes& times_;
  const LeastRoom& least_;
  std::vector<std::int64_t>
      from_start_;  // times of the segments that start the chain, by their end
  std::vector<ChainAction> actions_;
};

}  // namespace remat::plan

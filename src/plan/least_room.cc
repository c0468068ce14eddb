#include "plan/least_room.h"

#include <algorithm>
#include <limits>

#include "plan/segment_times.h"

namespace remat::plan {

LeastRoom::LeastRoom(const ChainModel& model, const ChainSegments& segments)
    : segments_(segments), rooms_(segments.different().size()) {
  for (std::size_t row = 0; row < rooms_.size(); ++row) {
    rooms_[row] = solve(model, segments.different()[row]);
  }
}

std::int64_t LeastRoom::solve(const ChainModel& model, ChainSegment segment) const {
  auto least = std::numeric_limits<std::int64_t>::max();
  for (const auto& option : model.options[segment.first]) {
    const auto inner = segment.stages() == 1 ? 0 : (*this)(segment.without_first());
    least = std::min(least, std::max(model.save_bytes(option, segment.last), option.saved + inner));
  }
  for_each_run(model, segment, [&](const ChainRun& run) {
    const auto after = model.activation[run.to] + (*this)(segment.from(run.to));
    least = std::min(least, std::max({run.bytes, after, (*this)(segment.before(run.to))}));
  });
  return least;
}

}  // namespace remat::plan

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
  const auto first = segment.first;
  const auto last = segment.last;
  auto least = std::numeric_limits<std::int64_t>::max();
  for (const auto& option : model.options[first]) {
    const auto inner = first == last ? 0 : (*this)(first + 1, last);
    least = std::min(least, std::max(model.save_bytes(option, last), option.saved + inner));
  }
  for_each_run(model, first, last, [&](std::size_t to, std::int64_t bytes, std::int64_t) {
    const auto after = model.activation[to] + (*this)(to, last);
    least = std::min(least, std::max({bytes, after, (*this)(first, to - 1)}));
  });
  return least;
}

}  // namespace remat::plan

// A bound for chains: the least time of any plan within a budget, by what is saved as backward begins.
#include <algorithm>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include <remat/chain_planner.h>

#include "base/text.h"
#include "graph/chain_check.h"
#include "plan/chain_model.h"

namespace remat {
namespace plan {
namespace {

// What more bytes save of a stage's time, if they are bought after all that is cheaper.
struct Step {
  std::int64_t bytes = 0;
  std::int64_t saves = 0;

  // For a byte.
  bool saves_more_than(Step other) const {
    return WideSum{saves} * other.bytes > WideSum{other.saves} * bytes;
  }
};

// Times and bytes of a stage: not saved, or saved by one of its options.
struct Point {
  std::int64_t bytes = 0;
  std::int64_t time = 0;
};

// The lower left hull, from the point of least bytes to that of least time.
std::vector<Point> hull(std::vector<Point> points) {
  std::sort(points.begin(), points.end(), [](Point a, Point b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.time < b.time;
  });
  std::vector<Point> hull;
  for (const auto point : points) {
    if (!hull.empty() && point.time >= hull.back().time) continue;
    while (hull.size() >= 2) {
      const auto a = hull[hull.size() - 2];
      const auto b = hull.back();
      const Step first = {b.bytes - a.bytes, a.time - b.time};
      const Step second = {point.bytes - b.bytes, b.time - point.time};
      if (first.saves_more_than(second)) break;
      hull.pop_back();
    }
    hull.push_back(point);
  }
  return hull;
}

class SavedAtTheTurn {
 public:
  SavedAtTheTurn(const ChainModel& model, Bytes memory) : left_(model.room(memory)) {
    for (std::size_t i = 0; i < model.stages(); ++i) add_stage(model, i);
  }

  std::int64_t least_time() {
    std::sort(steps_.begin(), steps_.end(), [](Step a, Step b) { return a.saves_more_than(b); });
    for (const auto step : steps_) {
      const auto bytes = std::min(step.bytes, std::max<std::int64_t>(0, left_));
      left_ -= step.bytes;
      if (bytes == 0 && step.bytes > 0) break;
      // Rounded up: the bound is then too low rather than too high.
      time_ -= step.bytes == 0 ? step.saves
                               : (WideSum{step.saves} * bytes + step.bytes - 1) / step.bytes;
    }
    return static_cast<std::int64_t>(
        std::min(time_, WideSum{std::numeric_limits<std::int64_t>::max()}));
  }

 private:
  void add_stage(const ChainModel& model, std::size_t i) {
    std::vector<Point> points;
    const auto fastest = model.options[i][static_cast<std::size_t>(model.fastest[i])].time;
    // The last stage is saved, and its backward runs.
    const bool is_last = i + 1 == model.stages();
    if (!is_last) points.push_back({0, model.forward[i] + fastest});
    for (const auto& option : model.options[i]) {
      points.push_back({is_last ? option.backward_bytes : option.saved, option.time});
    }
    const auto corners = hull(std::move(points));
    time_ += corners.front().time;
    left_ -= corners.front().bytes;
    for (std::size_t k = 1; k < corners.size(); ++k) {
      steps_.push_back(
          {corners[k].bytes - corners[k - 1].bytes, corners[k - 1].time - corners[k].time});
    }
  }

  std::int64_t left_;
  WideSum time_ = 0;
  std::vector<Step> steps_;
};

}  // namespace
}  // namespace plan

std::chrono::nanoseconds chain_lower_bound(const Chain& chain, Bytes memory) {
  graph::check_chain(chain, fmt::format("chain_lower_bound: chain {}", quote(chain.name)));
  const plan::ChainModel model(chain);
  const auto bound = plan::SavedAtTheTurn(model, memory).least_time();
  return std::chrono::nanoseconds(std::max(bound, model.plain_sum.back()));
}

}  // namespace remat

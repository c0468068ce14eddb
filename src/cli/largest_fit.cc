#include "cli/largest_fit.h"

#include <algorithm>
#include <cmath>

namespace remat::cli {
namespace {

// A size that was tried, and what it took.
struct Point {
  std::int64_t size;
  std::optional<Bytes> peak;
};

// Where the line through two points reaches `memory`; nothing if it never does.
std::optional<std::int64_t> reach(const Point& a, const Point& b, Bytes memory) {
  if (!a.peak || !b.peak || *b.peak <= *a.peak) return std::nullopt;
  const double slope =
      static_cast<double>((*b.peak - *a.peak).count()) / static_cast<double>(b.size - a.size);
  const double sizes = static_cast<double>((memory - *a.peak).count()) / slope;
  return a.size + static_cast<std::int64_t>(std::min(sizes, 1e15));
}

class Search {
 public:
  Search(std::int64_t limit, Bytes memory, const PeakOf& peak_of)
      : limit_(limit), memory_(memory), peak_of_(peak_of) {}

  LargestFit run() {
    if (!fits({1, peak(1)})) {
      result_.peak = above_->peak;
      return result_;
    }
    grow();
    close_in();
    result_.size = below_->size;
    result_.peak = below_->peak;
    result_.at_limit = !above_;
    if (above_) result_.next_peak = above_->peak;
    return result_;
  }

 private:
  std::optional<Bytes> peak(std::int64_t size) {
    ++result_.tries;
    return peak_of_(size);
  }

  bool fits(const Point& point) {
    const bool fits = point.peak && *point.peak <= memory_;
    if (fits) {
      before_ = below_;
      below_ = point;
    } else {
      above_ = point;
    }
    return fits;
  }

  void grow() {
    while (below_->size < limit_ && fits_next(larger())) {
    }
  }

  bool fits_next(std::int64_t size) { return fits({size, peak(size)}); }

  std::int64_t larger() const {
    const auto size = below_->size;
    const auto twice = std::min(2 * size, limit_);
    const auto expected = before_ ? reach(*before_, *below_, memory_) : std::nullopt;
    // At least a sixteenth more: an expectation that is always a little low would creep.
    return std::clamp(expected.value_or(twice), std::min(size + 1 + size / 16, limit_), twice);
  }

  // Along the line between the two ends, then, where that has not halved what is between them, in the
  // middle: the line alone may come closer from one side only, step by step.
  void close_in() {
    bool middle = false;
    while (above_ && above_->size - below_->size > 1) {
      const auto width = above_->size - below_->size;
      const auto line = middle ? std::nullopt : reach(*below_, *above_, memory_);
      fits_next(
          std::clamp(line.value_or(below_->size + width / 2), below_->size + 1, above_->size - 1));
      middle = !middle && 2 * (above_->size - below_->size) > width;
    }
  }

  std::int64_t limit_;
  Bytes memory_;
  const PeakOf& peak_of_;
  LargestFit result_;
  std::optional<Point> before_, below_,
      above_;  // the last two that fit, the smallest that does not
};

}  // namespace

LargestFit largest_fit(std::int64_t limit, Bytes memory, const PeakOf& peak_of) {
  return Search(limit, memory, peak_of).run();
}

}  // namespace remat::cli

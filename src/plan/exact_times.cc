#include "plan/exact_times.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace remat::plan {

// Reverses one segment with `less` bytes less, then one with all.
struct ExactTimes::Move {
  std::int64_t time = 0;
  std::int64_t needs = 0;
  std::int64_t less = 0;
  const Steps* inner = nullptr;
  const Steps* then = nullptr;
};

// Walks over the steps of a move's time.
class ExactTimes::Sum {
 public:
  explicit Sum(const Move& move)
      : move_(move), inner_(steps_of(move.inner)), then_(steps_of(move.then)) {
    bytes_ = std::max({move.needs, inner_.front().bytes + move.less, then_.front().bytes});
    while (next_of(inner_, i_, move_.less) <= bytes_) ++i_;
    while (next_of(then_, t_, 0) <= bytes_) ++t_;
  }

  std::int64_t bytes() const { return bytes_; }
  std::int64_t time() const {
    return capped_sum(move_.time, capped_sum(inner_[i_].time, then_[t_].time));
  }
  std::int64_t read() const { return static_cast<std::int64_t>(i_ + t_) + 1; }

  bool advance() {
    const auto inner = next_of(inner_, i_, move_.less);
    const auto then = next_of(then_, t_, 0);
    bytes_ = std::min(inner, then);
    if (bytes_ == kNone) return false;
    if (inner == bytes_) ++i_;
    if (then == bytes_) ++t_;
    return true;
  }

 private:
  static constexpr auto kNone = std::numeric_limits<std::int64_t>::max();

  static const Steps& steps_of(const Steps* part) {
    static const Steps nothing = {{0, 0}};
    return part == nullptr ? nothing : *part;
  }
  static std::int64_t next_of(const Steps& steps, std::size_t i, std::int64_t less) {
    return i + 1 < steps.size() ? steps[i + 1].bytes + less : kNone;
  }

  const Move& move_;
  const Steps& inner_;
  const Steps& then_;
  std::int64_t bytes_ = 0;
  std::size_t i_ = 0;
  std::size_t t_ = 0;
};

// Gives up early where the short segments, which come first, take too large a part of the effort.
std::optional<ExactTimes> ExactTimes::solve(const Problem& problem, std::int64_t effort) {
  ExactTimes times(problem);
  const auto rows = times.rows_.size();
  std::int64_t read = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    if (problem.segments.different()[row].first == 0) continue;
    read += times.solve_row(problem, row);
    const auto done = static_cast<double>(row + 1) / static_cast<double>(rows);
    if (static_cast<double>(read) > static_cast<double>(effort) * std::min(1.0, 0.05 + done)) {
      return std::nullopt;
    }
  }
  return times;
}

std::vector<ExactTimes::Move> ExactTimes::moves_of(const ChainModel& model,
                                                   ChainSegment segment) const {
  const auto first = segment.first;
  const auto last = segment.last;
  const auto row_of = [this](std::size_t begin, std::size_t end) {
    return &rows_[segments_.row(begin, end)];
  };
  std::vector<Move> moves;
  for (const auto& option : model.options[first]) {
    moves.push_back({option.time, model.save_bytes(option, last), option.saved,
                     first == last ? nullptr : row_of(first + 1, last), nullptr});
  }
  for_each_run(model, first, last, [&](std::size_t to, std::int64_t bytes, std::int64_t time) {
    moves.push_back({time, bytes, model.activation[to], row_of(to, last), row_of(first, to - 1)});
  });
  return moves;
}

std::int64_t ExactTimes::solve_row(const Problem& problem, std::size_t row) {
  const auto segment = segments_.different()[row];
  const auto plain = problem.model.plain_time(segment.first, segment.last + 1);
  const auto most = plain + (problem.known_time - problem.model.plain_sum.back());
  auto& best = rows_[row];
  std::int64_t read = 0;
  for (const auto& move : moves_of(problem.model, segment)) {
    const auto has_steps = [](const Steps* part) { return part == nullptr || !part->empty(); };
    if (!has_steps(move.inner) || !has_steps(move.then)) continue;
    read += improve(best, move, {problem.room, most});
  }
  return read;
}

// Returns what it read.
std::int64_t ExactTimes::improve(Steps& best, const Move& move, Step limits) {
  won_.clear();
  std::size_t b = 0;  // steps of `best` up to where the sum is
  Sum sum(move);
  if (sum.bytes() > limits.bytes) return 1;
  auto least = limits.time + 1;  // the next step must take less
  do {
    while (b < best.size() && best[b].bytes <= sum.bytes()) least = std::min(least, best[b++].time);
    const auto time = sum.time();
    if (time >= least) continue;
    won_.push_back({sum.bytes(), time});
    least = time;
  } while (sum.advance() && sum.bytes() <= limits.bytes);
  if (won_.empty()) return sum.read() + static_cast<std::int64_t>(b);
  merged_.resize(best.size() + won_.size());
  std::merge(
      best.begin(), best.end(), won_.begin(), won_.end(), merged_.begin(),
      [](Step x, Step y) { return x.bytes != y.bytes ? x.bytes < y.bytes : x.time < y.time; });
  best.clear();
  for (const auto step : merged_) {
    if (best.empty() || step.time < best.back().time) best.push_back(step);
  }
  return sum.read() + static_cast<std::int64_t>(merged_.size());
}

std::int64_t ExactTimes::time(std::size_t first, std::size_t last, std::int64_t room) const {
  const auto& steps = rows_[segments_.row(first, last)];
  const auto after =
      std::upper_bound(steps.begin(), steps.end(), room,
                       [](std::int64_t bytes, Step step) { return bytes < step.bytes; });
  return after == steps.begin() ? kNever : std::prev(after)->time;
}

}  // namespace remat::plan

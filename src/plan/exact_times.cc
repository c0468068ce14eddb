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

// Walks over the steps of one part of a move.
class ExactTimes::Part {
 public:
  Part(const Steps* steps, std::int64_t less)
      : steps_(steps == nullptr ? nothing() : *steps), less_(less) {}

  std::int64_t first_bytes() const { return steps_.front().bytes + less_; }
  std::int64_t time() const { return steps_[at_].time; }
  std::size_t at() const { return at_; }

  std::int64_t next_bytes() const {
    return at_ + 1 < steps_.size() ? steps_[at_ + 1].bytes + less_ : kNone;
  }
  void advance() { ++at_; }

  static constexpr auto kNone = std::numeric_limits<std::int64_t>::max();

 private:
  static const Steps& nothing() {
    static const Steps nothing = {{0, 0}};
    return nothing;
  }

  const Steps& steps_;
  const std::int64_t less_;
  std::size_t at_ = 0;
};

// Walks over the steps of a move's time.
class ExactTimes::Sum {
 public:
  explicit Sum(const Move& move)
      : move_(move),
        inner_(move.inner, move.less),
        then_(move.then, 0),
        bytes_(std::max({move.needs, inner_.first_bytes(), then_.first_bytes()})) {
    while (inner_.next_bytes() <= bytes_) inner_.advance();
    while (then_.next_bytes() <= bytes_) then_.advance();
  }

  std::int64_t bytes() const { return bytes_; }
  std::int64_t time() const { return capped(move_.time + capped(inner_.time() + then_.time())); }
  std::int64_t read() const { return static_cast<std::int64_t>(inner_.at() + then_.at()) + 1; }

  bool advance() {
    const auto inner = inner_.next_bytes();
    const auto then = then_.next_bytes();
    bytes_ = std::min(inner, then);
    if (bytes_ == Part::kNone) return false;
    if (inner == bytes_) inner_.advance();
    if (then == bytes_) then_.advance();
    return true;
  }

 private:
  const Move& move_;
  Part inner_;
  Part then_;
  std::int64_t bytes_ = 0;
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
  const auto row_of = [this](ChainSegment part) { return &rows_[segments_.row(part)]; };
  std::vector<Move> moves;
  for (const auto& option : model.options[segment.first]) {
    moves.push_back({option.time, model.save_bytes(option, segment.last), option.saved,
                     segment.stages() == 1 ? nullptr : row_of(segment.without_first()), nullptr});
  }
  for_each_run(model, segment, [&](const ChainRun& run) {
    moves.push_back({run.time, run.bytes, model.activation[run.to], row_of(segment.from(run.to)),
                     row_of(segment.before(run.to))});
  });
  return moves;
}

std::int64_t ExactTimes::solve_row(const Problem& problem, std::size_t row) {
  const auto segment = segments_.different()[row];
  const auto plain = problem.model.plain_time(segment);
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

std::int64_t ExactTimes::time(ChainSegment segment, std::int64_t room) const {
  const auto& steps = rows_[segments_.row(segment)];
  const auto after =
      std::upper_bound(steps.begin(), steps.end(), room,
                       [](std::int64_t bytes, Step step) { return bytes < step.bytes; });
  return after == steps.begin() ? kNever : std::prev(after)->time;
}

}  // namespace remat::plan

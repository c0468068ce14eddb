#include "plan/slot_times.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace remat::plan {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

// Slots that are looked at together: whole tiles are skipped in which a move cannot win.
constexpr std::int64_t kTile = 64;

}  // namespace

// Reverses one segment with `less` slots less, then one with all.
struct SlotTimes::Move {
  static constexpr std::int32_t kNone = -1;

  double time = 0;
  std::int32_t needs = 0;
  std::int32_t less = 0;
  std::int32_t inner = kNone;  // rows
  std::int32_t then = kNone;
};

// The times of a move's part: by slot before `end`, then `last`.
struct SlotTimes::Part {
  std::int64_t end = 0;
  const double* times = nullptr;
  double last = 0;
};

struct SlotTimes::Tile {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

SlotTimes::SlotTimes(const Problem& problem, const Limits& limits)
    : slot_bytes_(std::max<std::int64_t>(1, problem.room / limits.slots)),
      slots_(problem.room / slot_bytes_),
      tiles_(slots_ / kTile + 1),
      segments_(problem.segments),
      rows_(problem.segments.different().size()) {
  lay_out(problem, limits.known_time);
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const auto segment = segments_.different()[row];
    if (segment.first == 0) continue;
    solve(row, moves_of(problem, segment));
  }
}

void SlotTimes::lay_out(const Problem& problem, std::int64_t known_time) {
  std::vector<std::int64_t> enough(rows_.size());  // for the fastest options, all saved
  std::int64_t entries = 0;
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const auto segment = segments_.different()[row];
    const auto [first, last] = segment;
    if (first == 0) continue;
    const auto& model = problem.model;
    const auto plain = model.plain_time(segment);
    const auto most = known_time - model.plain_sum.back() + plain;
    const auto& option = model.options[first][static_cast<std::size_t>(model.fastest[first])];
    enough[row] = in_slots(model.save_bytes(option, last));
    if (first < last) {
      const auto inner = enough[segments_.row(segment.without_first())];
      enough[row] = std::max(enough[row], in_slots(option.saved) + inner);
    }
    rows_[row] = {in_slots(problem.least(segment)), std::min(slots_, enough[row]), entries,
                  static_cast<double>(plain), static_cast<double>(most)};
    entries += std::max<std::int64_t>(0, rows_[row].high - rows_[row].low + 1);
  }
  times_.assign(static_cast<std::size_t>(entries), kInfinite);
  for (const auto& row : rows_) {
    const auto begin = times_.begin() + row.begin;
    const auto count = std::max<std::int64_t>(0, row.high - row.low + 1);
    std::fill(begin, begin + count, std::nextafter(row.most, kInfinite));
  }
  tile_ends_.assign(rows_.size() * static_cast<std::size_t>(tiles_), kInfinite);
}

SlotTimes::Size SlotTimes::size_of(const Problem& problem) {
  Size size;
  for (const auto segment : problem.segments.different()) {
    if (segment.first == 0) continue;
    ++size.rows;
    size.moves += static_cast<std::int64_t>(segment.stages() - 1 +
                                            problem.model.options[segment.first].size());
  }
  return size;
}

std::vector<SlotTimes::Move> SlotTimes::moves_of(const Problem& problem,
                                                 ChainSegment segment) const {
  const auto& model = problem.model;
  const auto row_of = [this](ChainSegment part) {
    return static_cast<std::int32_t>(segments_.row(part));
  };
  // More slots than there are: never.
  const auto narrow = [this](std::int64_t slots) {
    return static_cast<std::int32_t>(std::min(slots, slots_ + 1));
  };
  std::vector<Move> moves;
  for (const auto& option : model.options[segment.first]) {
    moves.push_back({static_cast<double>(option.time),
                     narrow(in_slots(model.save_bytes(option, segment.last))),
                     narrow(in_slots(option.saved)),
                     segment.stages() == 1 ? Move::kNone : row_of(segment.without_first())});
  }
  for_each_run(model, segment, [&](const ChainRun& run) {
    moves.push_back({static_cast<double>(run.time), narrow(in_slots(run.bytes)),
                     narrow(in_slots(model.activation[run.to])), row_of(segment.from(run.to)),
                     row_of(segment.before(run.to))});
  });
  for (auto& move : moves) {
    for (const auto& [part, less] : {std::pair{move.inner, move.less}, {move.then, 0}}) {
      if (part == Move::kNone) continue;
      const auto low = rows_[static_cast<std::size_t>(part)].low;
      move.needs = std::max(move.needs, narrow(low + less));
    }
  }
  return moves;
}

// Coarse to fine, so that the first moves leave little to the later ones.
void SlotTimes::solve(std::size_t row, const std::vector<Move>& moves) {
  const auto count = moves.size();
  for (std::size_t m = 0; m < count; m += 16) improve(row, moves[m]);
  for (std::size_t m = 4; m < count; m += 4) {
    if (m % 16 != 0) improve(row, moves[m]);
  }
  for (std::size_t m = 1; m < count; ++m) {
    if (m % 4 != 0) improve(row, moves[m]);
  }
  leave_out_slow(rows_[row]);
  for (std::int64_t tile = 0; tile < tiles_; ++tile) {
    tile_ends(row)[tile] = at(rows_[row], (tile + 1) * kTile - 1);
  }
}

void SlotTimes::leave_out_slow(Row& row) {
  const double* const times = times_.data() + row.begin;
  const auto all = std::max<std::int64_t>(0, row.high - row.low + 1);
  const auto slow =
      std::find_if(times, times + all, [&](double t) { return t <= row.most; }) - times;
  row.begin += slow;
  row.low += slow;
}

// Times never rise with memory, so a move's time at a tile's end and the best time so far at its beginning
// tell whether it can win in it. And no move takes less than the run it begins with and the plain time.
void SlotTimes::improve(std::size_t row_number, const Move& move) {
  const auto& row = rows_[row_number];
  const auto first = std::max<std::int64_t>(row.low, move.needs);
  if (first > row.high) return;
  const double* const times = times_.data() + row.begin;
  const double* const inner = move.inner == Move::kNone ? nullptr : tile_ends(move.inner);
  const double* const then = move.then == Move::kNone ? nullptr : tile_ends(move.then);
  const auto shift = move.less / kTile;  // never too early a tile: the bound holds
  const auto least = move.then == Move::kNone ? 0 : move.time + row.plain_time;
  for (auto tile = first / kTile; tile <= row.high / kTile; ++tile) {
    const auto from = std::max(tile * kTile, first);
    const auto before = times[from - row.low];
    if (before <= least) break;
    const auto time = move.time + (inner != nullptr ? inner[tile - shift] : 0) +
                      (then != nullptr ? then[tile] : 0);
    if (time < before) improve(row, move, {from, std::min((tile + 1) * kTile, row.high + 1)});
  }
}

// In up to three stretches: neither part has reached its end, one has, both have.
void SlotTimes::improve(const Row& row, const Move& move, Tile tile) {
  double* const times = times_.data();
  double* const to = times + row.begin - row.low;
  const auto part_of = [&](std::int32_t part, std::int64_t less) -> Part {
    if (part == Move::kNone) return {tile.begin, nullptr, 0};
    const auto& r = rows_[static_cast<std::size_t>(part)];
    return {std::clamp(r.high + less, tile.begin, tile.end), times + r.begin - r.low - less,
            times[r.begin + r.high - r.low]};
  };
  const auto inner = part_of(move.inner, move.less);
  const auto then = part_of(move.then, 0);
  const auto& longer = inner.end > then.end ? inner : then;
  const auto& shorter = inner.end > then.end ? then : inner;
  auto slot = tile.begin;
  for (; slot < shorter.end; ++slot) {
    const auto time = move.time + inner.times[slot] + then.times[slot];
    to[slot] = std::min(to[slot], time);
  }
  for (const auto base = move.time + shorter.last; slot < longer.end; ++slot) {
    to[slot] = std::min(to[slot], base + longer.times[slot]);
  }
  for (const auto time = move.time + inner.last + then.last; slot < tile.end; ++slot) {
    to[slot] = std::min(to[slot], time);
  }
}

double SlotTimes::at(const Row& row, std::int64_t slot) const {
  if (slot < row.low || row.high < row.low) return kInfinite;
  const auto entry = std::min(slot, row.high) - row.low;
  return times_[static_cast<std::size_t>(row.begin + entry)];
}

std::int64_t SlotTimes::time(ChainSegment segment, std::int64_t room) const {
  const auto time = at(rows_[segments_.row(segment)], room / slot_bytes_);
  return time < static_cast<double>(kNever) ? static_cast<std::int64_t>(time) : kNever;
}

}  // namespace remat::plan

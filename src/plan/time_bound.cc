#include "plan/time_bound.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "base/wide_sum.h"
#include "graph/indexed_graph.h"
#include "plan/bound_graph.h"
#include "plan/replay_bound.h"
#include "plan/replay_cut.h"
#include "plan/replay_problem.h"

namespace remat {
namespace plan {
namespace {

// Edges of flow networks visited, in all: some hundredths of a second.
constexpr std::int64_t kWorkForPeak = 5'000'000;
constexpr std::int64_t kWorkForPrices = 10'000'000;
constexpr std::int64_t kWorkForBranching = 10'000'000;
// Values looked at to estimate which moments matter, and how many of these are examined.
constexpr std::int64_t kWorkForEstimates = 5'000'000;
constexpr std::size_t kMostMoments = 64;
// All replays together take about 2^40 units of time: sums stay exact in doubles.
constexpr int kUnitBits = 40;
constexpr int kNoTimes = -63;

std::size_t at(Place place) { return static_cast<std::size_t>(place); }

std::string source_of(const OpGraph& graph) {
  return fmt::format("lower bound: op graph {}", quote(graph.name));
}

std::vector<Place> in_order_of(const std::vector<std::int64_t>& most_first) {
  std::vector<Place> order(most_first.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](Place a, Place b) { return most_first[at(a)] > most_first[at(b)]; });
  return order;
}

class BoundPeak {
 public:
  BoundPeak(const BoundGraph& graph, const MomentBytes& bytes) : graph_(graph), bytes_(bytes) {}

  struct Result {
    std::int64_t bytes = 0;
    Place moment = -1;
  };

  Result run() {
    result_.bytes = graph_.fixed + graph_.inputs;
    for (Place moment = 0; moment < graph_.moments(); ++moment) {
      consider({graph_.fixed + bytes_.forced[at(moment)], moment});
    }
    for (const auto moment : in_order_of(bytes_.all_replayed)) {
      if (graph_.fixed + bytes_.all_replayed[at(moment)] <= result_.bytes || work_ <= 0) break;
      examine(moment);
    }
    return result_;
  }

 private:
  void consider(Result result) {
    if (result.bytes > result_.bytes) result_ = result;
  }

  void examine(Place moment) {
    const auto problem = replay_problem(graph_, {moment, 0});
    ReplayCuts cuts(problem, kNoTimes);
    cuts.limit_work(work_);
    consider({problem.forced + cuts.least_bytes(), moment});
    work_ = cuts.work_left() - static_cast<std::int64_t>(graph_.bytes.size());
  }

  const BoundGraph& graph_;
  const MomentBytes& bytes_;
  std::int64_t work_ = kWorkForPeak;
  Result result_;
};

// The moments at which the plain step is over the budget, those first where dropping what does not fit
// looks dearest by the ops' own times.
class LikelyMoments {
 public:
  LikelyMoments(const BoundGraph& graph, const MomentBytes& bytes, std::int64_t budget)
      : graph_(graph), bytes_(bytes), budget_(budget) {
    for (Place value = 0; value < graph.values(); ++value) {
      if (graph.writer[at(value)] >= 0 && graph.bytes[at(value)] > 0)
        cheapest_last_.push_back(value);
    }
    std::stable_sort(cheapest_last_.begin(), cheapest_last_.end(),
                     [this](Place a, Place b) { return time_per_byte(a) > time_per_byte(b); });
  }

  std::vector<Place> list() const {
    auto moments = over_budget();
    std::vector<double> estimates(at(graph_.moments()));
    for (const auto moment : moments) estimates[at(moment)] = estimate(moment);
    std::stable_sort(moments.begin(), moments.end(),
                     [&](Place a, Place b) { return estimates[at(a)] > estimates[at(b)]; });
    if (moments.size() > kMostMoments) moments.resize(kMostMoments);
    return moments;
  }

 private:
  double time_per_byte(Place value) const {
    const auto op = graph_.writer[at(value)];
    return static_cast<double>(graph_.replay_time[at(op)]) /
           static_cast<double>(graph_.bytes[at(value)]);
  }

  // So many that estimating them is cheap, evenly spread.
  std::vector<Place> over_budget() const {
    std::vector<Place> moments;
    for (Place moment = 0; moment < graph_.moments(); ++moment) {
      if (graph_.fixed + bytes_.plain[at(moment)] > budget_) moments.push_back(moment);
    }
    const auto estimable =
        static_cast<std::size_t>(kWorkForEstimates) / (graph_.bytes.size() + 1) + 1;
    const auto stride = moments.size() / estimable + 1;
    std::vector<Place> spread;
    for (std::size_t i = 0; i < moments.size(); i += stride) spread.push_back(moments[i]);
    return spread;
  }

  // Keeps what costs most for its bytes; the rest is replayed.
  double estimate(Place moment) const {
    auto room = budget_ - graph_.fixed - bytes_.forced[at(moment)];
    double time = 0;
    for (const auto value : cheapest_last_) {
      if (!graph_.needed_after({value, moment}) || graph_.final_at({value, moment})) continue;
      const auto kept = std::min(std::max<std::int64_t>(room, 0), graph_.bytes[at(value)]);
      room -= kept;
      time += time_per_byte(value) * static_cast<double>(graph_.bytes[at(value)] - kept);
    }
    return time;
  }

  const BoundGraph& graph_;
  const MomentBytes& bytes_;
  const std::int64_t budget_;
  std::vector<Place> cheapest_last_;
};

// The replays, in all moments, that the budget makes necessary.
class BoundReplays {
 public:
  BoundReplays(const BoundGraph& graph, const MomentBytes& bytes, std::int64_t budget)
      : graph_(graph), bytes_(bytes), budget_(budget), shift_(kUnitBits - bits_of_all_replays()) {}

  struct Result {
    bool possible = true;
    WideSum time = 0;  // ns
    std::optional<Place> moment;
    std::vector<Place> replayed;
  };

  Result run() {
    for (const auto moment : LikelyMoments(graph_, bytes_, budget_).list()) {
      if (work_ <= 0) break;
      if (!examine(moment)) return {false, 0, moment, {}};
    }
    if (result_.moment && !branch()) result_.possible = false;
    result_.time = rounded_up(units_);
    return result_;
  }

 private:
  int bits_of_all_replays() const {
    WideSum all = 0;
    for (const auto time : graph_.replay_time) all += time;
    int bits = 0;
    while ((all >> bits) > 0) ++bits;
    return bits;
  }

  WideSum rounded_up(std::int64_t units) const {
    const auto wide = WideSum{units};
    return shift_ < 0 ? wide << -shift_ : (wide + (WideSum{1} << shift_) - 1) >> shift_;
  }

  // False if nothing fits.
  bool examine(Place moment) {
    const auto problem = replay_problem(graph_, {moment, budget_});
    if (problem.room < 0) return false;
    ReplayCuts cuts(problem, shift_);
    cuts.limit_work(work_);
    bool possible = true;
    if (!cannot_beat(cuts)) {
      const auto bound = bound_at_best_price(cuts, units_);
      possible = bound.has_value();
      if (bound && (!result_.moment || bound->bound > units_)) {
        units_ = bound->bound;
        price_ = bound->price;
        result_.moment = moment;
        result_.replayed = replayed_ops(problem, bound->fitting);
      }
    }
    work_ = cuts.work_left() - static_cast<std::int64_t>(graph_.bytes.size());
    return possible;
  }

  static std::vector<Place> replayed_ops(const ReplayProblem& problem, const ReplayCut& cut) {
    std::vector<Place> ops;
    for (std::size_t op = 0; op < cut.replayed.size(); ++op) {
      if (cut.replayed[op]) ops.push_back(problem.ops[op].place);
    }
    return ops;
  }

  // A cut that fits and takes no longer than what is known: no price can raise the bound here.
  bool cannot_beat(ReplayCuts& cuts) const {
    if (price_ == 0) return false;
    const auto cut = cuts.at_price(price_);
    return cut && !cuts.out_of_work() && cut->bytes <= cuts.room() && cut->time <= units_;
  }

  bool branch() {
    const auto problem = replay_problem(graph_, {*result_.moment, budget_});
    ReplayCuts cuts(problem, shift_);
    cuts.limit_work(kWorkForBranching);
    const auto root = bound_at_best_price(cuts, 0);
    if (!root) return false;
    const auto bound = bound_by_branching(cuts, *root);
    units_ = std::max(units_, bound.bound);
    result_.replayed = replayed_ops(problem, bound.fitting);
    return true;
  }

  const BoundGraph& graph_;
  const MomentBytes& bytes_;
  const std::int64_t budget_;
  const int shift_;
  std::int64_t work_ = kWorkForPrices;
  std::int64_t units_ = 0;
  double price_ = 0;
  Result result_;
};

std::optional<std::chrono::nanoseconds> time_of_step(const BoundGraph& graph, WideSum replays) {
  const auto time = replays + graph.must_replay_time + graph.plain_time;
  if (!fits(time)) return std::nullopt;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(time));
}

}  // namespace

TimeBound time_bound(const OpGraph& graph, Bytes budget) {
  const BoundGraph bounds(graph, graph::IndexedGraph(graph, source_of(graph)));
  const auto bytes = moment_bytes(bounds);
  TimeBound result;
  if (!bounds.possible) return result;
  const auto explain = [&](std::optional<Place> moment) {
    if (!moment || *moment < 0) return;
    result.binding_op = graph.ops[at(*moment)].id;
    result.in_use = graph.fixed + Bytes(bytes.forced[at(*moment)]);
    result.plain = graph.fixed + Bytes(bytes.plain[at(*moment)]);
  };
  const auto peak = BoundPeak(bounds, bytes).run();
  if (peak.bytes > budget.count()) {
    explain(peak.moment);
    return result;
  }
  const auto replays = BoundReplays(bounds, bytes, budget.count()).run();
  explain(replays.moment);
  for (const auto op : replays.replayed) result.replayed.push_back(graph.ops[at(op)].id);
  if (replays.possible) result.time = time_of_step(bounds, replays.time);
  return result;
}

PeakBound peak_bound(const OpGraph& graph) {
  const BoundGraph bounds(graph, graph::IndexedGraph(graph, source_of(graph)));
  const auto peak = BoundPeak(bounds, moment_bytes(bounds)).run();
  PeakBound result{Bytes(peak.bytes), {}};
  if (peak.moment >= 0) result.binding_op = graph.ops[at(peak.moment)].id;
  return result;
}

}  // namespace plan

std::optional<std::chrono::nanoseconds> lower_bound_time(const OpGraph& graph, Bytes budget) {
  return plan::time_bound(graph, budget).time;
}

Bytes lower_bound_peak(const OpGraph& graph) { return plan::peak_bound(graph).peak; }

}  // namespace remat

#include "plan/retention_search.h"

#include <algorithm>
#include <limits>

namespace remat::plan {
namespace {

// Found on the measured graphs of benchmarks/planner_quality: no one of them finds the best plan of all.
constexpr double kCoolingBy100 = 0.98217;   // ^256 = 1/100
constexpr double kCoolingBy1000 = 0.97338;  // ^256 = 1/1000
constexpr Annealing kStarts[] = {
    {1e-3, kCoolingBy100, 0.3, 0.2, 20},
    {1e-3, kCoolingBy100, 0.3, 0.05, 50},
    {3e-3, kCoolingBy1000, 0.3, 0.05, 30},
    {3e-4, kCoolingBy100, 0.3, 0.3, 30},
};
constexpr Annealing kRefinements[] = {
    {5e-4, kCoolingBy100, 0.5, 0, 20},
    {5e-4, kCoolingBy100, 0.5, 0, 50},
};
// Only down, and what is above the budget first.
constexpr Annealing kRepair = {0, 1, 500, 0, 20};
constexpr int kStartRuns = 8;
constexpr int kRefinementRuns = 4;
// In a graph of so many operators a short run touches each gap a few times only: fewer and longer ones.
constexpr std::int32_t kManyOps = 2500;
constexpr int kRunsOfMany = 2;
constexpr std::int64_t kStartShare = 70;  // percent of the effort

// A plan above the budget in every slot by the budget itself would pay this many plain steps.
constexpr double kExcessScale = 20;
constexpr double kPriceUp = 1.02;
constexpr double kPriceDown = 0.985;
constexpr double kLeastPrice = 0.05;
constexpr double kHighestPrice = 1e5;
constexpr std::int64_t kWorkBetweenClocks = 1 << 15;  // a millisecond or two

int runs_of(const RetentionSpace& space, int most) {
  return space.end().number() < kManyOps ? most : kRunsOfMany;
}

}  // namespace

RetentionSearch::RetentionSearch(const RetentionSpace& space, std::int64_t budget)
    : space_(space),
      state_(space, budget),
      moves_(space),
      random_(0),
      least_excess_(std::numeric_limits<std::int64_t>::max()) {
  remember();
}

void RetentionSearch::load(const Patterns& patterns) {
  state_.begin();
  for (const auto gap : patterns.places()) state_.keep(gap, patterns[gap]);
  state_.apply();
}

void RetentionSearch::offer(const Patterns& patterns) {
  load(patterns);
  remember();
}

void RetentionSearch::search(std::int64_t effort) {
  if (!moves_.any()) return;
  const auto end = work() + effort;
  const int runs = runs_of(space_, kStartRuns);
  for (int run = 0; run < runs && !finished(); ++run) {
    load(Patterns(space_.gaps.size(), kKeepThroughout));
    anneal(kStarts[run % std::size(kStarts)], effort * kStartShare / 100 / runs);
  }
  refine(end - work());
}

void RetentionSearch::refine(std::int64_t effort) {
  if (!moves_.any()) return;
  const int runs = runs_of(space_, kRefinementRuns);
  for (int run = 0; run < runs && !finished(); ++run) {
    load(best_ ? *best_ : nearest_);
    anneal(kRefinements[run % std::size(kRefinements)], effort / runs);
  }
}

void RetentionSearch::repair(std::int64_t effort) {
  if (!moves_.any() || best_ || finished()) return;
  load(nearest_);
  anneal(kRepair, effort);
}

void RetentionSearch::descend(std::int64_t effort) {
  if (!moves_.any() || !best_ || finished()) return;
  load(*best_);
  anneal(kRepair, effort);
}

void RetentionSearch::anneal(const Annealing& annealing, std::int64_t effort) {
  price_ = annealing.price;
  auto temperature = annealing.temperature;
  const auto start = work();
  for (int level = 0; level < kAnnealingLevels && !finished(); ++level) {
    const bool coarse = level < annealing.coarse_share * kAnnealingLevels;
    run_level(annealing, temperature, coarse, start + effort * (level + 1) / kAnnealingLevels);
    temperature *= annealing.cooling;
    adapt_price();
  }
}

void RetentionSearch::run_level(const Annealing& annealing, double temperature, bool coarse,
                                std::int64_t until) {
  energy_ = energy();
  while (work() < until && !finished()) {
    state_.begin();
    if (coarse) {
      moves_.coarse(state_, random_);
    } else {
      moves_.fine(state_, random_, annealing.odd_percent);
    }
    if (state_.changed()) {
      state_.apply();
      const auto after = energy();
      if (after <= energy_ || after - energy_ < temperature * random_.exponential()) {
        energy_ = after;
        remember();
      } else {
        state_.undo();
      }
    }
    look_at_the_clock();
  }
}

void RetentionSearch::look_at_the_clock() {
  if (!deadline_ || work() < next_look_) return;
  next_look_ = work() + kWorkBetweenClocks;
  out_of_time_ = Clock::now() >= *deadline_;
}

double RetentionSearch::energy() const {
  const auto plain_time = static_cast<double>(std::max<std::int64_t>(1, space_.plain_time));
  const auto budget = static_cast<double>(std::max<std::int64_t>(1, state_.budget()));
  return static_cast<double>(state_.replay_time()) / plain_time +
         price_ * kExcessScale * static_cast<double>(state_.excess()) /
             (budget * space_.end().number());
}

void RetentionSearch::adapt_price() {
  price_ = state_.excess() > 0 ? std::min(price_ * kPriceUp, kHighestPrice)
                               : std::max(price_ * kPriceDown, kLeastPrice);
}

void RetentionSearch::remember() {
  if (state_.excess() == 0 && (!best_ || state_.replay_time() < best_replay_time_)) {
    best_ = state_.patterns();
    best_replay_time_ = state_.replay_time();
  }
  if (!best_ && state_.excess() < least_excess_) {
    least_excess_ = state_.excess();
    nearest_ = state_.patterns();
  }
}

}  // namespace remat::plan

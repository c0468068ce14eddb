#include "tape/budget_plans.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <utility>

namespace remat::tape {
namespace {

// A loaded plan is for this budget if what it was made for is not further from it than by this share.
constexpr std::int64_t kLoadedShare = 64;

// What is told of plans goes back so far.
constexpr std::size_t kPlansRemembered = 100;

constexpr const char* kLoaded = "loaded";

}  // namespace

void BudgetPlans::add(const std::shared_ptr<StepPlan>& plan, const char* why, std::int64_t steps) {
  plans_.insert(plans_.begin(), plan);
  number(*plan, why, steps);
  bound();
}

void BudgetPlans::load(KnownSteps known) {
  for (const auto& plan : known.plans) {
    number(*plan, kLoaded, 0);
    plans_.push_back(plan);
  }
  pinned_.merge(known.pinned);
  bound();
  awaits_loaded_ = true;
}

/// Numbers a plan, and begins to tell of it.
void BudgetPlans::number(StepPlan& plan, const char* why, std::int64_t steps) {
  plan.number = ++numbered_;
  history_[plan.number] = {steps, why, plan.plan.budget, plan.plan.predicted_peak, Bytes(), 0};
  if (history_.size() > kPlansRemembered) history_.erase(history_.begin());
}

void BudgetPlans::bound() {
  while (plans_.size() > most_) {
    proven_.erase(plans_.back().get());
    plans_.pop_back();
  }
}

void BudgetPlans::forget(const std::shared_ptr<const StepPlan>& plan) {
  const auto found = std::find(plans_.begin(), plans_.end(), plan);
  if (found != plans_.end()) plans_.erase(found);
  proven_.erase(plan.get());
}

void BudgetPlans::prove(const std::shared_ptr<const StepPlan>& plan) {
  proven_.insert(plan.get());
  awaits_loaded_ = false;
}

void BudgetPlans::pin(const Pinned& pinned) {
  pinned_ = pinned;
  plans_.clear();
  proven_.clear();
}

bool BudgetPlans::has_to_prove() const {
  return plans_.empty() || std::any_of(plans_.begin(), plans_.end(),
                                       [&](const auto& plan) { return is_to_be_proven(*plan); });
}

/// For loaded ones no more is audited once steps follow another plan: they wait for a step that no plan is for.
bool BudgetPlans::is_to_be_proven(const StepPlan& plan) const {
  return !is_proven(plan) && (!plan.loaded || awaits_loaded_);
}

std::vector<std::shared_ptr<const StepPlan>> BudgetPlans::for_next_step(bool audits,
                                                                        Bytes in_use) const {
  std::vector<std::shared_ptr<const StepPlan>> plans;
  std::copy_if(plans_.begin(), plans_.end(), std::back_inserter(plans), [&](const auto& plan) {
    const bool may_be_tried = is_proven(*plan) || audits;
    return !plan->loaded || (may_be_tried && fits(*plan, in_use));
  });
  return plans;
}

/// Whether the next step can follow a loaded plan: it was made for about as much memory, and what is in use
/// now leaves room for it.
bool BudgetPlans::fits(const StepPlan& plan, Bytes in_use) const {
  const Bytes room = memory_ + Bytes(memory_.count() / kSteadyShare) - plan.plan.predicted_peak;
  const bool same_budget =
      std::abs((plan.asked - memory_).count()) <= memory_.count() / kLoadedShare;
  return same_budget && std::max(in_use - plan.graph.at_start, Bytes()) <= room;
}

void BudgetPlans::note_followed(const StepPlan& plan, Bytes peak) {
  const auto history = history_.find(plan.number);
  if (history == history_.end()) return;
  ++history->second.followed;
  history->second.measured_peak = std::max(history->second.measured_peak, peak);
}

std::vector<PlanHistory> BudgetPlans::history() const {
  std::vector<PlanHistory> history;
  for (const auto& [number, plan] : history_) history.push_back(plan);
  return history;
}

}  // namespace remat::tape

// What a budget knows of steps: their plans, which of those have been proven, and what cannot be made again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <remat/budget.h>

#include "tape/plan_file.h"
#include "tape/step_plan.h"

namespace remat::tape {

// A step that ends with this share of the budget more or less than it began with is still like the next one.
constexpr std::int64_t kSteadyShare = 2048;

/// A plan is proven once a step that followed it to the end was audited.
class BudgetPlans {
 public:
  explicit BudgetPlans(const BudgetOptions& options)
      : memory_(options.memory), most_(static_cast<std::size_t>(options.plans)) {}

  using Pinned = std::unordered_map<std::uint64_t, std::string>;

  /// A plan that was made after so many steps. The oldest ones are forgotten.
  void add(const std::shared_ptr<StepPlan>& plan, const char* why, std::int64_t steps);
  /// Takes over what a file had, before the first step.
  void load(KnownSteps known);
  KnownSteps known() const { return {plans_, pinned_}; }

  void forget(const std::shared_ptr<const StepPlan>& plan);
  void prove(const std::shared_ptr<const StepPlan>& plan);
  /// Operators whose results turned out not to be made again: plans that let go of them are none any more.
  void pin(const Pinned& pinned);
  const Pinned& pinned() const { return pinned_; }

  /// Whether the next step is to be audited: there is no plan, or one to prove.
  bool has_to_prove() const;
  /// Those that the next step may follow, if `in_use` are the bytes in use as it begins.
  std::vector<std::shared_ptr<const StepPlan>> for_next_step(bool audits, Bytes in_use) const;

  /// How a plan held that a step followed to the end.
  void note_followed(const StepPlan& plan, Bytes peak);
  /// Of those that were made lately, the latest last.
  std::vector<PlanHistory> history() const;

 private:
  void number(StepPlan& plan, const char* why, std::int64_t steps);
  void bound();
  bool is_proven(const StepPlan& plan) const { return proven_.count(&plan) > 0; }
  bool is_to_be_proven(const StepPlan& plan) const;
  bool fits(const StepPlan& plan, Bytes in_use) const;

  Bytes memory_;
  std::size_t most_;
  std::vector<std::shared_ptr<StepPlan>> plans_;  // the latest first
  std::unordered_set<const StepPlan*> proven_;
  Pinned pinned_;
  bool awaits_loaded_ = false;  // no plan has been proven since some were loaded
  std::int64_t numbered_ = 0;
  std::map<std::int64_t, PlanHistory> history_;  // by StepPlan::number
};

}  // namespace remat::tape

// Follows a plan as long as the step is the one that it was made for.
#pragma once

#include <memory>
#include <vector>

#include "tape/step_plan.h"

namespace remat::tape {

/// What a plan has the tape do.
class PlanActions {
 public:
  virtual ~PlanActions() = default;
  /// All that one run of an operator of the plan makes, in place operators that are one with it included.
  virtual void replay_for_plan(const std::vector<ValueIndex>& values) = 0;
  virtual void drop_for_plan(ValueIndex value) = 0;
  virtual void pack_for_plan(ValueIndex value) = 0;
  virtual void drop_packed_for_plan(ValueIndex value) = 0;
  /// The step is none that has a plan: from here on nothing is decided ahead.
  virtual void plan_left() = 0;
};

class PlanFollower {
 public:
  PlanFollower(PlanActions& actions, std::vector<std::shared_ptr<const StepPlan>> plans)
      : actions_(actions), plans_(std::move(plans)), looks_(!plans_.empty()) {}

  /// Event number `event` of the step, `signature` being that of the step up to it: what the plan has before
  /// it is done.
  void reach(std::int32_t event, std::uint64_t signature);
  /// No plan is followed any more.
  void stop();
  /// The plan does not hold what it promised: from here on nothing is decided ahead.
  void give_up();
  /// What was given up; nullptr if nothing was.
  std::shared_ptr<const StepPlan> failed() const { return failed_; }

  /// nullptr where there is none, or it does not apply.
  const std::shared_ptr<const StepPlan>& plan() const { return plan_; }
  bool decides(ValueIndex value) const;

 private:
  bool matches(const StepPlan& plan, std::int32_t event, std::uint64_t signature) const;
  void change_plan(std::int32_t event, std::uint64_t signature);
  void advance(std::int32_t event, bool with_replays);
  void replay(const StepPlan& plan, bool really);

  PlanActions& actions_;
  std::vector<std::shared_ptr<const StepPlan>> plans_;
  std::shared_ptr<const StepPlan> plan_, failed_;
  bool looks_;
  std::size_t next_ = 0;         // entry
  std::vector<ValueIndex> run_;  // what the run at hand makes
};

}  // namespace remat::tape

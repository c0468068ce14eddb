#include "tape/plan_follower.h"

#include <algorithm>
#include <utility>

namespace remat::tape {

void PlanFollower::reach(std::int32_t event, std::uint64_t signature) {
  if (!looks_) return;
  if (plan_ == nullptr || !matches(*plan_, event, signature)) change_plan(event, signature);
  if (looks_ && plan_ != nullptr) advance(event, true);
}

bool PlanFollower::matches(const StepPlan& plan, std::int32_t event,
                           std::uint64_t signature) const {
  return static_cast<std::size_t>(event) < plan.graph.signatures.size() &&
         plan.graph.signatures[static_cast<std::size_t>(event)] == signature;
}

/// Signatures run from the start of the step: a plan that matches now has matched all along.
void PlanFollower::change_plan(std::int32_t event, std::uint64_t signature) {
  const auto found = std::find_if(plans_.begin(), plans_.end(), [&](const auto& plan) {
    return matches(*plan, event, signature);
  });
  // After backward nothing is left to decide: what follows (clipping, logging) may differ.
  if (found == plans_.end() && plan_ != nullptr && event > plan_->graph.last_asked) {
    looks_ = false;
    return;
  }
  if (found == plans_.end()) {
    plan_ = nullptr;
    looks_ = false;
    actions_.plan_left();
    return;
  }
  plan_ = *found;
  next_ = 0;
  // What the other plan did not keep is made again when it is asked for.
  for (std::int32_t earlier = 0; earlier < event; ++earlier) advance(earlier, false);
}

void PlanFollower::advance(std::int32_t event, bool with_replays) {
  const StepPlan* const plan = plan_.get();  // what is done for it may be its end; plans_ has it
  const bool stops = plan->has_entry[static_cast<std::size_t>(event)] != 0;
  // Of an event without an entry only what it is time to let go of is done.
  for (; plan_.get() == plan && next_ < plan->entries.size(); ++next_) {
    const StepPlan::Entry entry = plan->entries[next_];
    const auto value = static_cast<ValueIndex>(entry.subject);
    if (entry.kind == StepPlan::Kind::kDrop) {
      actions_.drop_for_plan(value);
    } else if (entry.kind == StepPlan::Kind::kPack) {
      actions_.pack_for_plan(value);
    } else if (entry.kind == StepPlan::Kind::kDropPacked) {
      actions_.drop_packed_for_plan(value);
    } else if (!stops) {
      return;
    } else if (entry.kind == StepPlan::Kind::kReplay) {
      replay(*plan, with_replays);
    } else {
      ++next_;
      return;
    }
  }
}

/// Reads the entries of one run; the last is left for the caller to pass.
void PlanFollower::replay(const StepPlan& plan, bool really) {
  run_.clear();
  const auto add = [&] { run_.push_back(static_cast<ValueIndex>(plan.entries[next_].subject)); };
  add();
  while (next_ + 1 < plan.entries.size() && plan.entries[next_ + 1].continues) {
    ++next_;
    add();
  }
  if (really) actions_.replay_for_plan(run_);
}

void PlanFollower::stop() {
  plans_.clear();
  looks_ = false;
}

void PlanFollower::give_up() {
  if (!looks_ || plan_ == nullptr) return;
  failed_ = std::exchange(plan_, nullptr);
  looks_ = false;
  actions_.plan_left();
}

bool PlanFollower::decides(ValueIndex value) const {
  return looks_ && plan_ != nullptr && at_place(value) < plan_->decides.size() &&
         plan_->decides[at_place(value)] != 0;
}

}  // namespace remat::tape

#include "tape/budget_impl.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <remat/planner.h>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/text.h"
#include "tape/plan_file.h"
#include "tape/saved_counts.h"
#include "torch_bridge/device_ledger.h"

namespace remat {
namespace {

// Why plans are made.
constexpr const char* kNewStep = "for steps of a new kind";
constexpr const char* kRanOut = "because memory ran out under the one before";
constexpr const char* kPinned = "because of results that cannot be made again";

// A plan that did not hold what it promised is made anew for less memory, so many times.
constexpr std::int64_t kCorrections = 4;

}  // namespace

Budget::Impl::Impl(BudgetOptions options)
    : options_(options),
      memory_(torch_bridge::ledger_of(options.device, "remat::Budget")),
      uncounted_(std::make_shared<tape::UncountedStorages>(memory_.device())),
      plans_(options),
      why_(kNewStep),
      live_at_first_(live_now()) {
  if (options.device.is_cpu()) process_at_first_ = process_memory();
}

Budget::Impl::Begun Budget::Impl::begin_step() {
  const Lock lock(mutex_);
  if (pending_ && running_ == 0) make_plan();
  Begun begun{++begun_, tape_options()};
  if (++running_ > 1) crowded_ = begun_;
  return begun;
}

tape::TapeOptions Budget::Impl::tape_options() {
  tape::TapeOptions options;
  options.memory = &memory_;
  const Bytes unseen_now = unseen();
  options.limit = (options_.memory - unseen_now).count();
  options.group = group_;
  options.unseen = unseen_now.count();
  options.uncounted = uncounted_;
  options.pinned = plans_.pinned();
  const bool any_to_prove = plans_.has_to_prove();
  options.audits = std::exchange(audits_next_, false) || any_to_prove;
  options.measures = std::exchange(measures_next_, false) || any_to_prove;
  options.plans = plans_.for_next_step(options.audits, live_now() + unseen_now);
  return options;
}

void Budget::Impl::step_ended(const Ended& ended) {
  const Lock lock(mutex_);
  describe(ended);
  const auto plan = ended.tape->followed_plan();
  if (plan) plans_.note_followed(*plan, report_.tracked_peak);
  if (ended.tape->pinned().size() > plans_.pinned().size()) {
    plans_.pin(ended.tape->pinned());
    pending_.reset();
    why_ = kPinned;
    return;
  }
  if (ended.tape->audits() && plan) plans_.prove(plan);
  // What was measured is partly others'.
  if (ended.number <= crowded_) return;
  if (const auto failed = ended.tape->failed_plan()) {
    correct(ended, failed);
  } else if (plan == nullptr) {
    consider(ended);
  }
}

void Budget::Impl::describe(const Ended& ended) {
  const auto plan = ended.tape->followed_plan();
  const tape::TapeCounts counts = ended.tape->counts();
  const BudgetReport before = std::exchange(report_, {});
  report_.memory = options_.memory;
  const Bytes unseen_now = unseen();
  report_.fixed = ended.at_start + unseen_now;
  report_.tracked_peak = ended.peak + unseen_now;
  report_.steps = before.steps + 1;
  report_.plans_made = before.plans_made;
  report_.tracked_growth = std::max(before.tracked_growth, ended.peak - live_at_first_);
  report_.operators = counts.ops;
  report_.verified = counts.verified;
  report_.recorded = counts.recorded;
  report_.replays = counts.replays;
  report_.packs = counts.packs;
  report_.unpacks = counts.unpacks;
  report_.evictions = counts.evictions;
  report_.audited = ended.tape->audits();
  for (const auto& [signature, why] : ended.tape->pinned()) report_.pinned.push_back(why);
  tape::SavedCounts saved = tape::count_saved(ended.tape->record());
  report_.kept = saved.kept;
  report_.packed = saved.packed;
  report_.dropped = saved.dropped;
  report_.refused = std::move(saved.refused);
  report_.replay_time = std::chrono::nanoseconds(counts.replay_nanoseconds);
  if (plan == nullptr) return;
  report_.planned = true;
  report_.predicted_peak = plan->plan.predicted_peak;
  report_.plain_peak = plan->plain_peak;
  report_.plain_time = plan->plan.plain_time;
  report_.predicted_time = plan->plan.predicted_time;
  report_.lower_bound_time = plan->plan.lower_bound_time;
}

BudgetReport Budget::Impl::report() const {
  const Lock lock(mutex_);
  BudgetReport report = report_;
  report.plans = plans_.history();
  const auto now = process_memory();
  if (now && process_at_first_ && now->peak > process_at_first_->peak) {
    report.resident_growth = now->peak - process_at_first_->resident;
  }
  return report;
}

/// A step without a plan: makes it the next one to plan for, if the step after it can be like it.
void Budget::Impl::consider(const Ended& ended) {
  // Half a step, or one whose backward is yet to come: a plan would let go of what it is for.
  if (ended.cut_off || ended.failure != tape::Failure::kNone || ended.tape->live_hooks() > 0)
    return;
  if (!ended.tape->meter()
           .measures()) {  // a step like none before, where one with a plan was expected
    audits_next_ = measures_next_ = true;
    return;
  }
  const std::int64_t grown = (ended.at_end - ended.at_start).count();
  tape::StepGraph graph =
      tape::graph_of(ended.tape->record(), ended.tape->meter(), names_, ended.at_start + unseen());
  graph_ = graph;
  if (std::abs(grown) > options_.memory.count() / tape::kSteadyShare) return;
  pending_ = Pending{std::move(graph), options_.memory, std::exchange(why_, kNewStep)};
  corrections_ = 0;
}

/// Memory ran out although the plan said that it would not: plans for less.
void Budget::Impl::correct(const Ended& ended, const std::shared_ptr<const tape::StepPlan>& plan) {
  if (corrections_ >= kCorrections) return;
  ++corrections_;
  const Bytes memory = std::max(plan->plan.budget - Bytes(ended.tape->counts().largest_excess) -
                                    Bytes(plan->plan.budget.count() / 256),
                                Bytes());
  pending_ = Pending{plan->graph, memory, kRanOut};
  plans_.forget(plan);
}

void Budget::Impl::make_plan() {
  Pending pending = std::move(*pending_);
  pending_.reset();
  GraphPlanOptions options;
  options.memory = pending.memory;
  options.effort = options_.effort;
  GraphPlanResult found = plan_graph(pending.graph.graph, options);
  ++report_.plans_made;
  auto plan = std::make_shared<tape::StepPlan>(
      tape::compile(std::move(pending.graph), std::move(found.plan)));
  plan->plan.budget = pending.memory;
  plan->plain_peak = found.plain_peak;
  plan->min_feasible = found.min_feasible;
  plan->asked = options_.memory;
  plans_.add(plan, pending.why, report_.steps);
}

void Budget::Impl::save(const std::string& path) {
  const Lock lock(mutex_);
  if (pending_ && running_ == 0) make_plan();
  AtomicFile file("remat::Budget::save", path);
  file.write(tape::to_json(plans_.known()));
  file.commit();
}

void Budget::Impl::load(const std::string& path) {
  const Lock lock(mutex_);
  REMAT_CHECK(begun_ == 0, Error,
              "remat::Budget::load {}: {} steps have been taken; load plans before the first one",
              printable(path), begun_);
  plans_.load(tape::read_known_steps(read_file("remat::Budget::load", path), printable(path)));
}

}  // namespace remat

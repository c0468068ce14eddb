#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <remat/budget.h>
#include <remat/memory.h>
#include <remat/planner.h>

#include "base/check.h"
#include "tape/tape.h"
#include "torch_bridge/cpu_allocator.h"
#include "torch_bridge/graph_task.h"

namespace remat {
namespace {

// A step that ends with this share of the budget more or less than it began with is still like the next one.
constexpr std::int64_t kSteadyShare = 2048;

// A plan that did not hold what it promised is made anew for less memory, so many times.
constexpr std::int64_t kCorrections = 4;

std::atomic<bool> budget_exists{false};

Bytes live_now() { return *live_cpu_bytes(); }

}  // namespace

/// Plans, and the step that the next one is to be made for.
class Budget::Impl {
 public:
  explicit Impl(BudgetOptions options) : options_(options) {}

  void include(Bytes bytes) {
    const Lock lock(mutex_);
    included_ += bytes;
  }
  void audit_next_step() {
    const Lock lock(mutex_);
    audits_next_ = true;
  }

  struct Begun {
    std::int64_t number = 0;
    tape::TapeOptions options;
  };
  /// Plans for what the last steps were, if no other runs; then how the next one is to be taped.
  Begun begin_step();
  void step_over() {
    const Lock lock(mutex_);
    --running_;
  }

  struct Ended {
    std::int64_t number = 0;
    std::shared_ptr<tape::Tape> tape;
    Bytes at_start, peak, at_end;
    bool cut_off = false;  // by an exception
    tape::Failure failure = tape::Failure::kNone;
  };
  void step_ended(const Ended& ended);

  BudgetReport report() const {
    const Lock lock(mutex_);
    return report_;
  }
  const OpGraph* graph() const {
    const Lock lock(mutex_);
    return graph_ ? &graph_->graph : nullptr;
  }
  void note_retries(const std::vector<std::string>& because) {
    const Lock lock(mutex_);
    report_.retries = static_cast<std::int64_t>(because.size());
    report_.retried_because = because;
  }

 private:
  struct Pending {
    std::shared_ptr<tape::Tape> tape;
    tape::StepGraph graph;
    Bytes memory;
  };

  using Lock = std::lock_guard<std::mutex>;

  Bytes limit() const { return options_.memory - included_; }
  tape::TapeOptions tape_options();
  void describe(const Ended& ended);
  void consider(const Ended& ended);
  void correct(const Ended& ended, const std::shared_ptr<const tape::StepPlan>& plan);
  void make_plan();

  mutable std::mutex mutex_;
  std::shared_ptr<tape::TapeGroup> group_ = std::make_shared<tape::TapeGroup>();
  std::int64_t begun_ = 0, running_ = 0;
  std::int64_t crowded_ = 0;  // steps up to this number have run beside another
  BudgetOptions options_;
  Bytes included_;
  std::vector<std::shared_ptr<const tape::StepPlan>> plans_;  // the latest first
  std::unordered_set<const tape::StepPlan*> proven_;
  std::unordered_map<std::uint64_t, std::string> pinned_;
  bool audits_next_ = false;
  bool measures_next_ = false;
  std::optional<Pending> pending_;
  std::optional<tape::StepGraph> graph_;
  std::int64_t corrections_ = 0;
  BudgetReport report_;
};

Budget::Impl::Begun Budget::Impl::begin_step() {
  const Lock lock(mutex_);
  if (pending_ && running_ == 0) make_plan();
  Begun begun{++begun_, tape_options()};
  if (++running_ > 1) crowded_ = begun_;
  return begun;
}

tape::TapeOptions Budget::Impl::tape_options() {
  tape::TapeOptions options;
  options.limit = limit().count();
  options.group = group_;
  options.unseen = included_.count();
  options.plans = plans_;
  options.pinned = pinned_;
  // A plan is proven once a step that followed it to the end was audited.
  const bool all_proven =
      !plans_.empty() && std::all_of(plans_.begin(), plans_.end(), [&](const auto& plan) {
        return proven_.count(plan.get()) > 0;
      });
  options.audits = std::exchange(audits_next_, false) || !all_proven;
  options.measures = std::exchange(measures_next_, false) || !all_proven;
  return options;
}

void Budget::Impl::step_ended(const Ended& ended) {
  const Lock lock(mutex_);
  describe(ended);
  if (ended.tape->pinned().size() > pinned_.size()) {
    // Plans that let go of it are none any more.
    pinned_ = ended.tape->pinned();
    plans_.clear();
    proven_.clear();
    pending_.reset();
    return;
  }
  if (ended.tape->audits() && ended.tape->followed_plan())
    proven_.insert(ended.tape->followed_plan().get());
  // What was measured is partly others'.
  if (ended.number <= crowded_) return;
  if (const auto plan = ended.tape->failed_plan()) {
    correct(ended, plan);
  } else if (ended.tape->followed_plan() == nullptr) {
    consider(ended);
  }
}

void Budget::Impl::describe(const Ended& ended) {
  const auto plan = ended.tape->followed_plan();
  const tape::TapeCounts counts = ended.tape->counts();
  const BudgetReport before = std::exchange(report_, {});
  report_.memory = options_.memory;
  report_.fixed = ended.at_start + included_;
  report_.tracked_peak = ended.peak + included_;
  report_.steps = before.steps + 1;
  report_.plans_made = before.plans_made;
  report_.operators = counts.ops;
  report_.replays = counts.replays;
  report_.packs = counts.packs;
  report_.unpacks = counts.unpacks;
  report_.evictions = counts.evictions;
  report_.audited = ended.tape->audits();
  for (const auto& [signature, why] : ended.tape->pinned()) report_.pinned.push_back(why);
  report_.replay_time = std::chrono::nanoseconds(counts.replay_nanoseconds);
  if (plan == nullptr) return;
  report_.planned = true;
  report_.predicted_peak = plan->plan.predicted_peak;
  report_.plain_peak = plan->plain_peak;
  report_.plain_time = plan->plan.plain_time;
  report_.predicted_time = plan->plan.predicted_time;
  report_.lower_bound_time = plan->plan.lower_bound_time;
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
      tape::graph_of(ended.tape->record(), ended.tape->meter(), "step", ended.at_start + included_);
  graph_ = graph;
  if (std::abs(grown) > options_.memory.count() / kSteadyShare) return;
  pending_ = Pending{ended.tape, std::move(graph), options_.memory};
  corrections_ = 0;
}

/// Memory ran out although the plan said that it would not: plans for less.
void Budget::Impl::correct(const Ended& ended, const std::shared_ptr<const tape::StepPlan>& plan) {
  if (corrections_ >= kCorrections) return;
  ++corrections_;
  const Bytes memory = plan->plan.budget - Bytes(ended.tape->counts().largest_excess) -
                       Bytes(plan->plan.budget.count() / 256);
  pending_ = Pending{ended.tape, plan->graph, memory};
  plans_.erase(std::find(plans_.begin(), plans_.end(), plan));
  proven_.erase(plan.get());
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
      tape::compile(std::move(pending.graph), std::move(found.plan), pending.tape->record()));
  plan->plan.budget = pending.memory;
  plan->plain_peak = found.plain_peak;
  plan->min_feasible = found.min_feasible;
  plans_.insert(plans_.begin(), std::move(plan));
  const auto most = static_cast<std::size_t>(options_.plans);
  while (plans_.size() > most) {
    proven_.erase(plans_.back().get());
    plans_.pop_back();
  }
}

// ---- Budget ---------------------------------------------------------------------------------------------------

Budget::Budget(BudgetOptions options) {
  REMAT_CHECK(options.memory > Bytes(0), InvalidArgument,
              "remat::Budget: a budget is a positive number of bytes, not {}", options.memory.count());
  REMAT_CHECK(options.effort >= 0, InvalidArgument,
              "remat::Budget: effort is a number of operators, 0 or more, not {}", options.effort);
  REMAT_CHECK(options.plans > 0, InvalidArgument,
              "remat::Budget: at least one plan has to be kept, not {}", options.plans);
  torch_bridge::CpuAllocator::install_counting("remat::Budget");
  REMAT_CHECK(!budget_exists.exchange(true), Error,
              "remat::Budget: there is a budget for the CPU already. Share it between steps and threads, or "
              "destroy it first.");
  impl_ = std::make_shared<Impl>(options);
}

Budget::~Budget() { budget_exists = false; }

void Budget::audit_next_step() { impl_->audit_next_step(); }
void Budget::include(Bytes bytes) { impl_->include(bytes); }

BudgetReport Budget::report() const { return impl_->report(); }
const OpGraph* Budget::graph() const { return impl_->graph(); }

// ---- Step -----------------------------------------------------------------------------------------------------

class Step::Impl {
 public:
  explicit Impl(std::shared_ptr<Budget::Impl> budget)
      : budget_(std::move(budget)), tape_(make_tape()), at_start_(live_now()), scope_(*tape_) {}

  ~Impl() {
    const Bytes peak = at_start_ + tracker_.peak_bytes();
    tape_->finish();
    const tape::Failure failure = tape_->failure();
    if (tape_->ran_out() || failure != tape::Failure::kNone) torch_bridge::drop_queued_gradients();
    const bool undone = failure != tape::Failure::kNone && tape_->undo();
    if (undone_after_ != nullptr) *undone_after_ = undone ? failure : tape::Failure::kNone;
    const bool cut_off = std::uncaught_exceptions() > exceptions_at_start_;
    try {
      budget_->step_ended({number_, tape_, at_start_, peak, live_now(), cut_off, failure});
    } catch (
        const std::exception&) {  // there is no plan of this step then; the next one is recorded
    }
  }

  /// Has it write down, when it ends, after what all that it did was undone; kNone if that was not.
  void tell(tape::Failure& undone_after) { undone_after_ = &undone_after; }

 private:
  /// Counts as one that runs until its tape is let go of.
  struct Running {
    explicit Running(Budget::Impl& budget) : budget_(budget) {}
    ~Running() { budget_.step_over(); }
    Budget::Impl& budget_;
  };

  std::shared_ptr<tape::Tape> make_tape() {
    Budget::Impl::Begun begun = budget_->begin_step();
    running_.emplace(*budget_);
    number_ = begun.number;
    return std::make_shared<tape::Tape>(std::move(begun.options));
  }

  std::shared_ptr<Budget::Impl> budget_;
  tape::Failure* undone_after_ = nullptr;
  std::int64_t number_ = 0;
  std::optional<Running> running_;
  std::shared_ptr<tape::Tape> tape_;
  int exceptions_at_start_ = std::uncaught_exceptions();
  Bytes at_start_;
  MemoryTracker tracker_;
  tape::Tape::Scope scope_;
};

Step::Step(Budget& budget) : impl_(std::make_unique<Impl>(budget.impl_)) {}
Step::~Step() = default;

void Budget::run(const std::function<void()>& step) {
  tape::Failure undone_after = tape::Failure::kNone;
  const auto once = [&] {
    const Step scope(*this);
    scope.impl_->tell(undone_after);
    step();
  };
  std::set<tape::Failure> seen;
  std::vector<std::string> because;
  for (;;) {
    try {
      once();
      return impl_->note_retries(because);
    } catch (const std::exception& error) {
      impl_->note_retries(because);
      if (undone_after == tape::Failure::kNone || !seen.insert(undone_after).second) throw;
      because.emplace_back(error.what());
    }
  }
}

}  // namespace remat

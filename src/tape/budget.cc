#include <algorithm>
#include <exception>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <remat/budget.h>
#include <remat/planner.h>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/process_memory.h"
#include "base/text.h"
#include "tape/plan_file.h"
#include "tape/saved_counts.h"
#include "tape/tape.h"
#include "torch_bridge/device_ledger.h"
#include "torch_bridge/graph_task.h"

namespace remat {
namespace {

// A step that ends with this share of the budget more or less than it began with is still like the next one.
constexpr std::int64_t kSteadyShare = 2048;

// A loaded plan is for this budget if what it was made for is not further from it than by this share.
constexpr std::int64_t kLoadedShare = 64;

// What is told of plans goes back so far.
constexpr std::size_t kPlansRemembered = 100;

// Why plans are made.
constexpr const char* kNewStep = "for steps of a new kind";
constexpr const char* kRanOut = "because memory ran out under the one before";
constexpr const char* kLoaded = "loaded";
constexpr const char* kPinned = "because of results that cannot be made again";

// A plan that did not hold what it promised is made anew for less memory, so many times.
constexpr std::int64_t kCorrections = 4;

/// The devices that have a budget.
class BudgetedDevices {
 public:
  /// False if it has one already.
  bool add(c10::Device device) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return names_.insert(device.str()).second;
  }
  void remove(c10::Device device) {
    const std::lock_guard<std::mutex> lock(mutex_);
    names_.erase(device.str());
  }

 private:
  std::mutex mutex_;
  std::set<std::string> names_;
};

BudgetedDevices& budgeted_devices() {
  static BudgetedDevices devices;
  return devices;
}

}  // namespace

/// Plans, and the step that the next one is to be made for.
class Budget::Impl {
 public:
  explicit Impl(BudgetOptions options)
      : options_(options),
        memory_(torch_bridge::ledger_of(options.device, "remat::Budget")),
        uncounted_(std::make_shared<tape::UncountedStorages>(memory_.device())),
        live_at_first_(live_now()) {
    if (options.device.is_cpu()) process_at_first_ = process_memory();
  }

  torch_bridge::MemoryLedger& memory() const { return memory_; }
  Bytes live_now() const { return Bytes(memory_.live_bytes()); }

  void include(Bytes bytes) {
    const Lock lock(mutex_);
    included_ += bytes;
  }
  void audit_next_step() {
    const Lock lock(mutex_);
    audits_next_ = true;
  }
  void name_parameters(const torch::nn::Module& root) {
    const Lock lock(mutex_);
    names_.add(root);
  }
  void save(const std::string& path);
  void load(const std::string& path);

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

  BudgetReport report() const;
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
    tape::StepGraph graph;
    Bytes memory;
    const char* why;
  };

  using Lock = std::lock_guard<std::mutex>;

  /// In use, and not in the ledger.
  Bytes unseen() const { return included_ + uncounted_->bytes(); }
  tape::TapeOptions tape_options();
  void describe(const Ended& ended);
  void remember(const Ended& ended);
  void consider(const Ended& ended);
  void correct(const Ended& ended, const std::shared_ptr<const tape::StepPlan>& plan);
  void make_plan();
  void number(tape::StepPlan& plan, const char* why);
  void bound_plans();

  bool is_proven(const tape::StepPlan& plan) const { return proven_.count(&plan) > 0; }
  bool is_to_be_proven(const tape::StepPlan& plan) const;
  bool fits(const tape::StepPlan& plan) const;

  mutable std::mutex mutex_;
  std::shared_ptr<tape::TapeGroup> group_ = std::make_shared<tape::TapeGroup>();
  std::int64_t begun_ = 0, running_ = 0;
  std::int64_t crowded_ = 0;  // steps up to this number have run beside another
  BudgetOptions options_;
  torch_bridge::MemoryLedger& memory_;
  Bytes included_;
  std::shared_ptr<tape::UncountedStorages> uncounted_;
  tape::ParameterNames names_;
  std::vector<std::shared_ptr<tape::StepPlan>> plans_;  // the latest first
  std::unordered_set<const tape::StepPlan*> proven_;
  std::unordered_map<std::uint64_t, std::string> pinned_;
  bool audits_next_ = false;
  bool measures_next_ = false;
  bool awaits_loaded_ = false;  // no plan has been proven since some were loaded
  std::optional<Pending> pending_;
  std::optional<tape::StepGraph> graph_;
  std::int64_t corrections_ = 0;
  const char* why_ = kNewStep;  // the next plan will be made
  BudgetReport report_;
  std::int64_t plans_numbered_ = 0;
  std::map<std::int64_t, PlanHistory> history_;  // by StepPlan::number
  Bytes live_at_first_;
  std::optional<ProcessMemory> process_at_first_;
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
  options.memory = &memory_;
  const Bytes unseen_now = unseen();
  options.limit = (options_.memory - unseen_now).count();
  options.group = group_;
  options.unseen = unseen_now.count();
  options.uncounted = uncounted_;
  options.pinned = pinned_;
  const bool any_to_prove =
      plans_.empty() || std::any_of(plans_.begin(), plans_.end(),
                                    [&](const auto& plan) { return is_to_be_proven(*plan); });
  options.audits = std::exchange(audits_next_, false) || any_to_prove;
  options.measures = std::exchange(measures_next_, false) || any_to_prove;
  std::copy_if(plans_.begin(), plans_.end(), std::back_inserter(options.plans),
               [&](const auto& plan) {
                 const bool may_be_tried = is_proven(*plan) || options.audits;
                 return !plan->loaded || (may_be_tried && fits(*plan));
               });
  return options;
}

/// A plan is proven once a step that followed it to the end was audited. For loaded ones no more is audited once
/// steps follow another plan: they wait for a step that no plan is for.
bool Budget::Impl::is_to_be_proven(const tape::StepPlan& plan) const {
  return !is_proven(plan) && (!plan.loaded || awaits_loaded_);
}

/// Whether the next step can follow a loaded plan: it was made for about as much memory, and what is in use
/// now leaves room for it.
bool Budget::Impl::fits(const tape::StepPlan& plan) const {
  const std::int64_t slack = options_.memory.count() / kSteadyShare;
  const Bytes more = live_now() + unseen() - plan.graph.at_start;
  const bool same_budget =
      std::abs((plan.asked - options_.memory).count()) <= options_.memory.count() / kLoadedShare;
  return same_budget &&
         plan.plan.predicted_peak + std::max(more, Bytes()) <= options_.memory + Bytes(slack);
}

void Budget::Impl::step_ended(const Ended& ended) {
  const Lock lock(mutex_);
  describe(ended);
  remember(ended);
  if (ended.tape->pinned().size() > pinned_.size()) {
    // Plans that let go of it are none any more.
    pinned_ = ended.tape->pinned();
    plans_.clear();
    proven_.clear();
    pending_.reset();
    why_ = kPinned;
    return;
  }
  if (ended.tape->audits() && ended.tape->followed_plan()) {
    proven_.insert(ended.tape->followed_plan().get());
    awaits_loaded_ = false;
  }
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
  report_.fixed = ended.at_start + unseen();
  report_.tracked_peak = ended.peak + unseen();
  report_.steps = before.steps + 1;
  report_.plans_made = before.plans_made;
  report_.tracked_growth = std::max(before.tracked_growth, ended.peak - live_at_first_);
  report_.operators = counts.ops;
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

/// How the plan that was followed held.
void Budget::Impl::remember(const Ended& ended) {
  const auto plan = ended.tape->followed_plan();
  const auto history = plan == nullptr ? history_.end() : history_.find(plan->number);
  if (history == history_.end()) return;
  ++history->second.followed;
  history->second.measured_peak = std::max(history->second.measured_peak, report_.tracked_peak);
}

BudgetReport Budget::Impl::report() const {
  const Lock lock(mutex_);
  BudgetReport report = report_;
  for (const auto& [number, plan] : history_) report.plans.push_back(plan);
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
  if (std::abs(grown) > options_.memory.count() / kSteadyShare) return;
  pending_ = Pending{std::move(graph), options_.memory, std::exchange(why_, kNewStep)};
  corrections_ = 0;
}

/// Memory ran out although the plan said that it would not: plans for less.
void Budget::Impl::correct(const Ended& ended, const std::shared_ptr<const tape::StepPlan>& plan) {
  if (corrections_ >= kCorrections) return;
  ++corrections_;
  const Bytes memory = plan->plan.budget - Bytes(ended.tape->counts().largest_excess) -
                       Bytes(plan->plan.budget.count() / 256);
  pending_ = Pending{plan->graph, memory, kRanOut};
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
      tape::compile(std::move(pending.graph), std::move(found.plan)));
  plan->plan.budget = pending.memory;
  plan->plain_peak = found.plain_peak;
  plan->min_feasible = found.min_feasible;
  plan->asked = options_.memory;
  plans_.insert(plans_.begin(), plan);
  number(*plan, pending.why);
  bound_plans();
}

/// Numbers a plan, and begins to tell of it.
void Budget::Impl::number(tape::StepPlan& plan, const char* why) {
  plan.number = ++plans_numbered_;
  history_[plan.number] = {report_.steps, why, plan.plan.budget, plan.plan.predicted_peak,
                           Bytes(),       0};
  if (history_.size() > kPlansRemembered) history_.erase(history_.begin());
}

void Budget::Impl::bound_plans() {
  const auto most = static_cast<std::size_t>(options_.plans);
  while (plans_.size() > most) {
    proven_.erase(plans_.back().get());
    plans_.pop_back();
  }
}

void Budget::Impl::save(const std::string& path) {
  const Lock lock(mutex_);
  if (pending_ && running_ == 0) make_plan();
  AtomicFile file("remat::Budget::save", path);
  file.write(tape::to_json({plans_, pinned_}));
  file.commit();
}

void Budget::Impl::load(const std::string& path) {
  const Lock lock(mutex_);
  REMAT_CHECK(begun_ == 0, Error,
              "remat::Budget::load {}: {} steps have been taken; load plans before the first one",
              printable(path), begun_);
  tape::KnownSteps known =
      tape::read_known_steps(read_file("remat::Budget::load", path), printable(path));
  for (const auto& plan : known.plans) {
    number(*plan, kLoaded);
    plans_.push_back(plan);
  }
  pinned_.merge(known.pinned);
  bound_plans();
  awaits_loaded_ = true;
}

// ---- Budget ---------------------------------------------------------------------------------------------------

Budget::Budget(BudgetOptions options) {
  REMAT_CHECK(options.memory > Bytes(0), InvalidArgument,
              "remat::Budget: a budget is a positive number of bytes, not {}", options.memory.count());
  REMAT_CHECK(options.effort >= 0, InvalidArgument,
              "remat::Budget: effort is a number of operators, 0 or more, not {}", options.effort);
  REMAT_CHECK(options.plans > 0, InvalidArgument,
              "remat::Budget: at least one plan has to be kept, not {}", options.plans);
  options.device = torch_bridge::with_index(options.device);
  // What a step does is undone by the numbers of allocations, which the CPU's always have.
  torch_bridge::ledger_of(c10::kCPU, "remat::Budget");
  auto impl = std::make_shared<Impl>(options);
  REMAT_CHECK(budgeted_devices().add(options.device), Error,
              "remat::Budget: there is a budget for {} already. Share it between steps and threads, or destroy it "
              "first.",
              options.device.str());
  impl_ = std::move(impl);
}

Budget::~Budget() { budgeted_devices().remove(impl_->memory().device()); }

void Budget::audit_next_step() { impl_->audit_next_step(); }
void Budget::save(const std::string& path) const { impl_->save(path); }
void Budget::load(const std::string& path) { impl_->load(path); }
void Budget::name_parameters(const torch::nn::Module& root) { impl_->name_parameters(root); }
void Budget::include(Bytes bytes) { impl_->include(bytes); }

BudgetReport Budget::report() const { return impl_->report(); }
const OpGraph* Budget::graph() const { return impl_->graph(); }

// ---- Step -----------------------------------------------------------------------------------------------------

class Step::Impl {
 public:
  explicit Impl(std::shared_ptr<Budget::Impl> budget)
      : budget_(std::move(budget)),
        tape_(make_tape()),
        at_start_(budget_->live_now()),
        peak_(budget_->memory()),
        scope_(*tape_) {}

  ~Impl() {
    const Bytes peak = at_start_ + peak_.peak();
    tape_->finish();
    const tape::Failure failure = tape_->failure();
    if (tape_->ran_out() || failure != tape::Failure::kNone) torch_bridge::drop_queued_gradients();
    const bool undone = failure != tape::Failure::kNone && tape_->undo();
    if (undone_after_ != nullptr) *undone_after_ = undone ? failure : tape::Failure::kNone;
    const bool cut_off = std::uncaught_exceptions() > exceptions_at_start_;
    try {
      budget_->step_ended({number_, tape_, at_start_, peak, budget_->live_now(), cut_off, failure});
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
  torch_bridge::LedgerReader peak_;
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

at::Tensor name(const at::Tensor& tensor, std::string_view name) {
  if (tape::Tape* open = tape::Tape::current()) open->name_value(tensor, name);
  return tensor;
}

}  // namespace remat

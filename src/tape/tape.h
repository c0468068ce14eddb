// The tape of one step on one thread: sees its operators, keeps or lets go of what autograd saves, and
// makes it again when autograd asks.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tape/audit.h"
#include "tape/eviction.h"
#include "tape/moment_meter.h"
#include "tape/packed_forms.h"
#include "tape/plan_follower.h"
#include "tape/recorder.h"
#include "tape/records.h"
#include "tape/replayer.h"
#include "tape/tape_group.h"
#include "tape/uncounted_storages.h"
#include "tape/undo_log.h"
#include "torch_bridge/allocation_gate.h"
#include "torch_bridge/backward_node.h"
#include "torch_bridge/carried_scopes.h"
#include "torch_bridge/engine_hooks.h"
#include "torch_bridge/home_stream.h"
#include "torch_bridge/memory_ledger.h"
#include "torch_bridge/op_interceptor.h"

namespace remat::tape {

struct TapeOptions {
  /// The memory that the limit is for.
  torch_bridge::MemoryLedger* memory = nullptr;
  /// Allocated bytes that may not be passed; what the ledger does not see is taken off already.
  std::int64_t limit = 0;
  /// What was taken off: messages count it in.
  std::int64_t unseen = 0;
  /// Finds more of that; shared by all tapes of a budget.
  std::shared_ptr<UncountedStorages> uncounted;
  bool measures = true;
  /// What it shares the limit with.
  std::shared_ptr<TapeGroup> group;
  /// Plans of steps known so far, that this one may turn out to be.
  std::vector<std::shared_ptr<const StepPlan>> plans;
  /// Whether every value is compared with what it was when it is read and when it is made again.
  bool audits = true;
  /// Operators whose results are not made again, by the signature of the step up to them.
  std::unordered_map<std::uint64_t, std::string> pinned;
};

/// What a tape did.
struct TapeCounts {
  std::int64_t ops = 0;
  std::int64_t verified = 0;  ///< of the forward, see Recorder::verified
  std::int64_t recorded = 0;
  std::int64_t replays = 0;
  std::int64_t packs = 0;
  std::int64_t unpacks = 0;
  std::int64_t replay_nanoseconds = 0;
  std::int64_t evictions = 0;
  std::int64_t largest_excess = 0;  ///< bytes that an allocation was too large by, before evictions
};

/// Why a step could not go on.
enum class Failure : std::uint8_t {
  kNone,
  kMemory,  ///< an allocation was refused
  kProof    ///< an operator gave other bits when it was run again
};

class Tape final : public std::enable_shared_from_this<Tape>,
                   private torch_bridge::OpInterceptor,
                   private torch_bridge::HookProvider,
                   private torch_bridge::PassWatcher,
                   private torch_bridge::AllocationGate,
                   private RecorderEvents,
                   private ReplayEvents,
                   private PlanActions {
 public:
  explicit Tape(TapeOptions options);
  ~Tape() override;

  /// What a saved tensor is on the tape.
  struct Saved {
    SlotIndex slot;
    ViewIndex view;
  };

  /// While it lives, the tape sees this thread.
  class Scope {
   public:
    explicit Scope(Tape& tape);

    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Tape* outer_;
    torch_bridge::InterceptorScope interceptor_;
    torch_bridge::HookScope hooks_;
    torch_bridge::PassWatchScope passes_;
    torch_bridge::GateScope gate_;
    std::optional<torch_bridge::CarryScope> carry_;  // of devices, whose nodes run on other threads
    std::optional<torch_bridge::BackwardNodeScope> nodes_;  // of steps that become graphs
  };

  /// The innermost that sees this thread; nullptr if none does.
  static Tape* current();

  /// Calls the value that `tensor` is now `name`. Without effect where nothing is recorded.
  void name_value(const at::Tensor& tensor, std::string_view name);

  /// The step is over: nothing is recorded or planned any more; saved tensors can still be asked for.
  void finish();

  /// Lets go of values for another tape until `is_enough`; false if that never is. On any thread.
  bool make_room(const std::function<bool()>& is_enough);
  /// Why it could not go on; kNone if nothing was wrong, or the program went on all the same.
  Failure failure() const { return failure_; }
  /// After finish(), of a step that failed: puts back what it changed, and lets go of everything. Its saved
  /// tensors can no longer be asked for. True if all was put back: no optimizer had run.
  bool undo();

  // Of saved tensors, on any thread.
  Saved save(const at::Tensor& tensor);
  at::Tensor bring_back(const Saved& saved);
  void hook_died(SlotIndex slot);

  /// Operators whose results are not made again, and why: those that it was given, and those it found.
  const std::unordered_map<std::uint64_t, std::string>& pinned() const { return options_.pinned; }
  bool audits() const { return audit_.has_value(); }
  /// Saved tensors that may still be asked for.
  std::int64_t live_hooks() const { return live_hooks_; }
  /// Whether an allocation was refused.
  bool ran_out() const { return ran_out_; }

  const StepRecord& record() const { return record_; }
  const MomentMeter& meter() const { return *meter_; }
  TapeCounts counts() const;
  /// The plan that was followed as long as it had anything to decide; nullptr if none was.
  std::shared_ptr<const StepPlan> followed_plan() const;
  /// The plan that was given up because memory ran out; nullptr if none was.
  std::shared_ptr<const StepPlan> failed_plan() const { return follower_.failed(); }

 private:
  void intercept(torch_bridge::OpCall& call) override;
  std::unique_ptr<torch::autograd::SavedVariableHooks> make_hooks() override;
  void before_allocation(std::int64_t bytes) override;
  void after_allocation() noexcept override;
  void pass_begins(const torch::autograd::edge_list& roots, bool accumulates) override;

  void value_made(ValueIndex value, const c10::Storage& storage) override;
  void value_overwritten(ValueIndex old, ValueIndex written) override;
  bool is_needed(ValueIndex leaf) override;
  void leaf_met(const at::Tensor& tensor) override;
  void overwritten_unrecorded(const at::Tensor& tensor) override { count(tensor); }
  c10::Storage copy_to_keep(const c10::Storage& storage) override;
  bool is_unchanged(ValueIndex value, const c10::Storage& storage) override;
  void changed_unseen(ValueIndex old) override;
  void leaves_lost(const std::vector<ValueIndex>& leaves) override;

  c10::Storage resident(ValueIndex value) override;
  bool is_resident(ValueIndex value) override;
  bool replayed(ValueIndex value, const c10::Storage& storage) override;

  void replay_for_plan(const std::vector<ValueIndex>& values) override;
  void drop_for_plan(ValueIndex value) override;
  void pack_for_plan(ValueIndex value) override;
  void drop_packed_for_plan(ValueIndex value) override;
  void plan_left() override;

  std::shared_ptr<torch_bridge::CarriedScopes> carried();
  void make_room_for(std::int64_t bytes);
  bool let_go_of_one();
  bool enforces_now() const;
  std::int64_t live_bytes() const { return options_.memory->live_bytes(); }
  void go_on(torch_bridge::OpCall& call, const torch_bridge::OpTraits& traits);
  void record(torch_bridge::OpCall& call, const torch_bridge::OpTraits& traits);
  void run(torch_bridge::OpCall& call);
  void keep_if_pinned(Op& op);
  void reach_event();
  bool plan_decides(ValueIndex value) const;
  bool is_there(ValueIndex value) const;
  c10::Storage in_memory(ValueIndex value);
  c10::Storage make(ValueIndex value);
  void probe(ValueIndex value);
  void hold(ValueIndex value, const c10::Storage& storage);
  void let_go(ValueIndex value);
  void end_visits();
  bool may_go(ValueIndex value);
  void prove(ValueIndex value, const c10::Storage& storage);
  void pin(OpIndex op, const char* because);
  void keep_what_depends_on(ValueIndex changed);
  void for_each_dependent(const std::vector<ValueIndex>& changed,
                          const std::function<bool(ValueIndex)>& is_gone);
  void count(const at::Tensor& tensor);
  void check_not_undone() const;
  std::string what_runs() const;
  std::optional<Bytes> known_to_work(Bytes limit) const;
  [[noreturn]] void throw_out_of_budget(std::int64_t bytes) const;

  TapeMutex mutex_;
  std::unique_lock<std::mutex> turn_;
  TapeOptions options_;
  torch_bridge::HomeStream home_;
  StepRecord record_;
  std::unique_ptr<MomentMeter> meter_;
  Recorder recorder_{record_, *this, home_};
  Replayer replayer_{record_, *this};
  PlanFollower follower_;
  EvictionOrder evictions_;
  std::optional<Audit> audit_;
  PackedForms packed_{record_};
  std::optional<UndoLog> undo_log_;  // until it is finished
  Failure failure_ = Failure::kNone;
  Failure undone_after_ = Failure::kNone;
  int exceptions_at_start_;
  std::int64_t at_start_;  // bytes in use
  TapeCounts counts_;
  // Written under the mutex; allocations look at them without it.
  std::atomic<std::int64_t> live_hooks_{0};
  std::atomic<bool> finished_{false};
  std::int32_t clock_ = 0;
  bool ran_out_ = false;
  bool records_ = false;  // an operator, right now
  const torch_bridge::OpTraits* running_ =
      nullptr;  // the operator that began last; not one that runs again
  std::unordered_set<std::int32_t>
      dropped_ahead_;                 // values that the plan dropped before they were made
  std::vector<ValueIndex> wanted_;    // being made for the plan
  std::vector<ValueIndex> visitors_;  // made again for one node, the plan having no room for them
};

}  // namespace remat::tape

// What a budget does between steps: it plans for what the last ones were, and says how the next is to be taped.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <remat/budget.h>

#include "base/process_memory.h"
#include "tape/budget_plans.h"
#include "tape/parameter_names.h"
#include "tape/step_graph.h"
#include "tape/tape.h"
#include "tape/tape_group.h"
#include "tape/uncounted_storages.h"
#include "torch_bridge/memory_ledger.h"

namespace remat {

/// Plans, and the step that the next one is to be made for.
class Budget::Impl {
 public:
  explicit Impl(BudgetOptions options);

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
    uncounted_->meet(root);
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
  void consider(const Ended& ended);
  void correct(const Ended& ended, const std::shared_ptr<const tape::StepPlan>& plan);
  void make_plan();

  mutable std::mutex mutex_;
  std::shared_ptr<tape::TapeGroup> group_ = std::make_shared<tape::TapeGroup>();
  std::int64_t begun_ = 0, running_ = 0;
  std::int64_t crowded_ = 0;  // steps up to this number have run beside another
  BudgetOptions options_;
  torch_bridge::MemoryLedger& memory_;
  Bytes included_;
  std::shared_ptr<tape::UncountedStorages> uncounted_;
  tape::ParameterNames names_;
  tape::BudgetPlans plans_;
  bool audits_next_ = false;
  bool measures_next_ = false;
  std::optional<Pending> pending_;
  std::optional<tape::StepGraph> graph_;
  std::int64_t corrections_ = 0;
  const char* why_;  // the next plan will be made
  BudgetReport report_;
  Bytes live_at_first_;
  std::optional<ProcessMemory> process_at_first_;
};

}  // namespace remat

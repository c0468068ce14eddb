// A step within a budget, and as many as it takes.
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <remat/budget.h>

#include "tape/budget_impl.h"
#include "tape/tape.h"
#include "torch_bridge/graph_task.h"
#include "torch_bridge/memory_ledger.h"

namespace remat {

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

// What a tape does when the step cannot go on: says why, and puts back what it changed.
// (Rules T15 to T17)
#include <algorithm>
#include <exception>

#include <remat/error.h>

#include "base/check.h"
#include "tape/tape.h"
#include "torch_bridge/graph_task.h"

namespace remat::tape {

void Tape::pass_begins(const torch::autograd::edge_list& roots, bool accumulates) {
  const std::lock_guard<TapeMutex> lock(mutex_);
  if (!finished_) undo_log_->pass_begins(roots, accumulates);
}

void Tape::leaf_met(const at::Tensor& tensor) {
  if (finished_) return;
  undo_log_->met(tensor);
  count(tensor);
  if (tensor.is_leaf() && tensor.requires_grad()) count(tensor.grad());
}

c10::Storage Tape::copy_to_keep(const c10::Storage& storage) { return undo_log_->copy_of(storage); }

/// Somebody caught the error inside of the step, and continues: that is not to be undone.
void Tape::go_on(torch_bridge::OpCall& call, const torch_bridge::OpTraits& traits) {
  const bool unwinds = std::uncaught_exceptions() > exceptions_at_start_;
  if (!unwinds && !only_prepares(call, traits)) failure_ = Failure::kNone;
}

bool Tape::undo() {
  const std::lock_guard<TapeMutex> lock(mutex_);
  undone_after_ = failure_;
  packed_.drop_all();
  record_.release_tensors();  // first: what only the tape keeps alive needs nothing put back
  undo_log_->put_back();
  const bool everything = !undo_log_->is_partial();
  undo_log_.reset();
  return everything;
}

void Tape::check_not_undone() const {
  if (undone_after_ == Failure::kNone) return;
  fail<Error>(
      "remat::Step: a saved tensor of a step that failed cannot be made again: {}, and what it had changed was "
      "put back. Call the forward again, in a new Step.",
      undone_after_ == Failure::kMemory ? "an allocation was refused"
                                        : "an operator gave other bits when it ran again");
}

std::string Tape::what_runs() const {
  const bool backward = torch_bridge::in_backward_pass();
  if (running_ == nullptr) return backward ? "the backward pass" : "an operator that runs again";
  return running_->name + (backward ? ", in the backward pass," : "");
}

/// The least of what is known to be enough for a step that began like this one, if it is more than `limit`.
std::optional<Bytes> Tape::known_to_work(Bytes limit) const {
  const auto plan = follower_.failed();
  if (plan == nullptr) return std::nullopt;
  // What is in use beside the step may have grown since the plan was made.
  const Bytes fixed(at_start_ + options_.unseen);
  const Bytes grown = std::max(fixed - plan->graph.graph.fixed, Bytes(0));
  for (const Bytes enough : {plan->min_feasible + grown, plan->plain_peak + grown}) {
    if (enough > limit) return enough;
  }
  return std::nullopt;
}

void Tape::throw_out_of_budget(std::int64_t bytes) const {
  const std::int64_t live = live_bytes() + options_.unseen;
  const Bytes limit(options_.limit + options_.unseen);
  const std::optional<Bytes> known = known_to_work(limit);
  const std::string advice =
      known ? fmt::format("The smallest budget known to work for this step is {} bytes",
                          known->count())
            : fmt::format("Give the budget at least {} bytes", live + bytes);
  fail<BudgetError>(
      "remat::Step: {} asks for {} bytes more, which the budget has no room for: {} bytes are in use, {} may "
      "be, and nothing that could be made again is left to let go of. {}, or make the batch smaller.",
      what_runs(), bytes, live, limit.count(), advice);
}

}  // namespace remat::tape

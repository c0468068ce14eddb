// How a tape keeps within its limit: what is in use, and what goes before an allocation.
// (Rules T7, T11, T14, T21)
#include <algorithm>

#include <c10/core/GradMode.h>

#include "tape/tape.h"
#include "torch_bridge/graph_task.h"

namespace remat::tape {
namespace {

using Lock = std::lock_guard<TapeMutex>;

}  // namespace

/// Memory from before the budget, which its ledger has not seen, is in use, too.
void Tape::count(const at::Tensor& tensor) {
  const std::int64_t bytes = options_.uncounted->meet(tensor);
  options_.limit -= bytes;
  options_.unseen += bytes;
}

bool Tape::enforces_now() const {
  return c10::GradMode::is_enabled() || torch_bridge::in_backward_pass();
}

void Tape::before_allocation(std::int64_t bytes) {
  if (finished_) return;
  std::unique_lock<std::mutex> turn = options_.group->turn_if_free();
  if (!turn) {
    const TapeMutex::Released released(mutex_);
    turn = options_.group->take_turn();
  }
  if (live_bytes() + bytes > options_.limit) make_room_for(bytes);
  turn_ = std::move(turn);
}

/// The caller has the turn. What there is no room for is refused, or passes the limit.
void Tape::make_room_for(std::int64_t bytes) {
  // A function's own forward runs without gradients, too: room is made, but nothing refused.
  const bool refuses = enforces_now();
  if (!refuses && live_hooks_ == 0) return;
  const Lock lock(mutex_);
  counts_.largest_excess = std::max(counts_.largest_excess, live_bytes() + bytes - options_.limit);
  const auto fits = [&] { return live_bytes() + bytes <= options_.limit; };
  while (!fits()) {
    if (let_go_of_one() || options_.group->make_room(*this, fits)) continue;
    if (!refuses) break;
    ran_out_ = true;
    failure_ = Failure::kMemory;
    throw_out_of_budget(bytes);
  }
}

/// False if nothing is left that could be made again.
bool Tape::let_go_of_one() {
  follower_.give_up();
  const ValueIndex victim = evictions_.next(record_, clock_);
  if (victim == ValueIndex::kNone) return false;
  if (!may_go(victim)) return true;
  let_go(victim);
  ++counts_.evictions;
  return true;
}

bool Tape::make_room(const std::function<bool()>& is_enough) {
  const Lock lock(mutex_);
  while (!is_enough()) {
    if (!let_go_of_one()) return false;
  }
  return true;
}

void Tape::after_allocation() noexcept {
  if (turn_.owns_lock()) turn_.unlock();
}

}  // namespace remat::tape

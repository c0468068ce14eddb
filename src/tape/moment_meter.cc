#include "tape/moment_meter.h"

#include <algorithm>

#include "torch_bridge/backward_node.h"
#include "torch_bridge/graph_task.h"

namespace remat::tape {
namespace {

/// Where nothing is recorded.
std::string what_runs() {
  if (!torch_bridge::in_backward_pass()) return "no_grad";
  std::string node = torch_bridge::backward_node_name();
  return node.empty() ? "autograd" : node;
}

}  // namespace

// Steps on devices of different kinds are different steps.
MomentMeter::MomentMeter(StepRecord& record, torch_bridge::MemoryLedger& ledger,
                         const torch_bridge::HomeStream& home, bool measures)
    : record_(record),
      ledger_(ledger),
      home_(home),
      measures_(measures),
      signature_(static_cast<std::uint64_t>(ledger.device().type())) {
  if (measures_) ledger_.follow(&counters_);
}

MomentMeter::~MomentMeter() {
  if (measures_) ledger_.unsubscribe(&counters_);
}

// ---- moments ------------------------------------------------------------------------------------------

MomentIndex MomentMeter::begin(OpIndex op, std::uint64_t identity) {
  open(op, identity, false);
  return static_cast<MomentIndex>(record_.moments.size() - 1);
}

void MomentMeter::open(OpIndex op, std::uint64_t identity, bool in_pass) {
  close();
  signature_ = mixed(signature_, identity);
  Moment moment;
  moment.op = op;
  moment.event = record_.events.add(signature_);
  moment.asked = {record_.asked.size(), record_.asked.size()};
  moment.in_pass = in_pass;
  if (measures_ && op == OpIndex::kNone) moment.node = record_.nodes.add(what_runs());
  found_alive_ = alive_bytes_;
  record_.moments.add(moment);
  is_open_ = clock_runs_ = true;
  ran_ = false;
  excluded_ = 0;
  if (measures_) began_ = Clock::now();
}

void MomentMeter::stop_clock() {
  if (!is_open_ || !clock_runs_) return;
  clock_runs_ = false;
  if (!measures_) return;
  home_.wait();
  const auto passed = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - began_);
  record_.moments.back().nanoseconds += std::max<std::int64_t>(passed.count() - excluded_, 0);
}

void MomentMeter::close() {
  if (!is_open_) return;
  stop_clock();
  is_open_ = false;
  if (!measures_) return;
  note_others();
  look_around();
  Moment& moment = record_.moments.back();
  moment.live_after = ledger_.locked([&] { return counters_.live(ledger_.device()).count(); });
  moment.alive_after = alive_bytes_;
}

/// What was allocated at most, since it was noted last, beside what was alive all that time.
void MomentMeter::note_others() {
  const std::int64_t peak = ledger_.locked([&] {
    const std::int64_t bytes = counters_.peak(ledger_.device()).count();
    counters_.reset_peak();
    return bytes;
  });
  if (record_.moments.size() == 0) return;
  Moment& moment = record_.moments.back();
  moment.others_peak = std::max(moment.others_peak, peak - found_alive_);
}

void MomentMeter::cancel() {
  if (record_.moments.size() < 2) {
    record_.moments.back().op = OpIndex::kNone;
    return;
  }
  const Moment cancelled = record_.moments.back();
  record_.moments.truncate(record_.moments.size() - 1);
  record_.moments.back().nanoseconds += cancelled.nanoseconds;
  found_alive_ = alive_bytes_;
  clock_runs_ = false;  // what it took is added; it ends with the next
}

bool MomentMeter::ask(ValueIndex value) {
  const std::uint64_t identity = 2 * static_cast<std::uint64_t>(value) + 1;
  const bool begins = !is_open_ || record_.moments.back().op != OpIndex::kNone || ran_ ||
                      record_.moments.back().asked.size() == 0;
  if (begins) {
    open(OpIndex::kNone, identity, torch_bridge::in_backward_pass());
  } else {
    signature_ = mixed(signature_, identity);
  }
  record_.asked.add(value);
  record_.moments.back().asked.end = record_.asked.size();
  return begins;
}

bool MomentMeter::other_op(bool in_pass) {
  const bool begins = !is_open_ || record_.moments.back().op != OpIndex::kNone ||
                      (record_.moments.back().in_pass && !in_pass);
  if (begins) open(OpIndex::kNone, 0, in_pass);
  ran_ = true;
  return begins;
}

void MomentMeter::before_replay() {
  if (!measures_ || replaying_++ > 0) return;
  home_.wait();
  replay_began_ = Clock::now();
  note_others();
}

void MomentMeter::after_replay() {
  if (!measures_ || --replaying_ > 0) return;
  home_.wait();
  excluded_ += std::chrono::nanoseconds(Clock::now() - replay_began_).count();
  ledger_.locked([&] { counters_.reset_peak(); });
}

void MomentMeter::finish() { close(); }

// ---- plannable values -----------------------------------------------------------------------------------

char& MomentMeter::alive(ValueIndex value) {
  const std::size_t place = at_place(value);
  if (is_alive_.size() <= place) {
    is_alive_.resize(place + 1, 0);
    exclusive_since_.resize(place + 1, MomentIndex::kNone);
  }
  return is_alive_[place];
}

void MomentMeter::came(ValueIndex value) {
  if (!measures_) return;
  char& is_alive = alive(value);
  if (!is_alive) {
    alive_bytes_ += record_.values[value].bytes;
    if (is_open_) record_.moments.back().came += record_.values[value].bytes;
  }
  is_alive = 1;
  shared_.push_back(value);
}

void MomentMeter::let_go(ValueIndex value) {
  if (!measures_ || !alive(value)) return;
  if (!dead(value)) {
    shared_.push_back(value);
    return;
  }
  // Gone already: until now it was among what was alive.
  if (replaying_ == 0) note_others();
  alive(value) = 0;
  alive_bytes_ -= record_.values[value].bytes;
  found_alive_ -= record_.values[value].bytes;
  mark_exclusive(value);
}

void MomentMeter::mark_exclusive(ValueIndex value) {
  MomentIndex& since = exclusive_since_[at_place(value)];
  if (since == MomentIndex::kNone) since = static_cast<MomentIndex>(record_.moments.size() - 1);
}

void MomentMeter::taken_over(ValueIndex old) {
  if (!measures_ || !alive(old)) return;
  alive(old) = 0;
  alive_bytes_ -= record_.values[old].bytes;
  mark_exclusive(old);
}

bool MomentMeter::dead(ValueIndex index) const {
  const Value& value = record_.values[index];
  if (value.held) return false;
  const Slot& slot = record_.slots[value.slot];
  return slot.current != index || slot.address.expired();
}

/// Finds the values that have died, and those that only the tape holds now.
void MomentMeter::look_around() {
  const auto settled = [&](ValueIndex index) {
    if (!alive(index)) return true;
    const Value& value = record_.values[index];
    const bool is_dead = dead(index);
    if (!is_dead && (!value.held || value.held.use_count() > 1)) return false;
    mark_exclusive(index);
    if (is_dead) {
      alive(index) = 0;
      alive_bytes_ -= value.bytes;
    }
    return true;
  };
  shared_.erase(std::remove_if(shared_.begin(), shared_.end(), settled), shared_.end());
}

MomentIndex MomentMeter::exclusive_since(ValueIndex value) const {
  const std::size_t place = at_place(value);
  return place < exclusive_since_.size() ? exclusive_since_[place] : MomentIndex::kNone;
}

}  // namespace remat::tape

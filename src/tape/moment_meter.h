// Cuts a step into moments, and measures time and memory of each.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "tape/records.h"
#include "torch_bridge/home_stream.h"
#include "torch_bridge/memory_ledger.h"

namespace remat::tape {

/// Opens moments, closes them, and follows which plannable values are alive, whoever holds them.
/// Everything else that is allocated is what the plan has to live with.
class MomentMeter {
 public:
  /// Without `measures` it only cuts: times and bytes stay 0. Bytes are those of `ledger`, times
  /// those until what was queued at `home` has run.
  MomentMeter(StepRecord& record, torch_bridge::MemoryLedger& ledger,
              const torch_bridge::HomeStream& home, bool measures);
  ~MomentMeter();
  MomentMeter(const MomentMeter&) = delete;
  MomentMeter& operator=(const MomentMeter&) = delete;

  /// The moment of an operator of the forward begins. `identity`: of the call.
  MomentIndex begin(OpIndex op, std::uint64_t identity);
  /// It has run: the clock stops.
  void stop_clock();
  /// It made nothing after all: what it took belongs to the moment before.
  void cancel();

  /// Autograd asks for `value`. True if a moment begins with that.
  bool ask(ValueIndex value);
  /// Something runs that is not recorded. True if a moment begins with that. `in_pass`: in a backward pass.
  bool other_op(bool in_pass);
  /// A replay begins, and ends: neither its time nor the memory that it takes on its way is the moment's.
  void before_replay();
  void after_replay();
  /// The step is over.
  void finish();

  /// A plannable value came into being, for the first time or again.
  void came(ValueIndex value);
  /// The tape has let go of a value.
  void let_go(ValueIndex value);
  /// Its storage is another value's now.
  void taken_over(ValueIndex old);

  bool measures() const { return measures_; }
  /// When nobody but the tape held a value any more; kNone: not in this step.
  MomentIndex exclusive_since(ValueIndex value) const;

 private:
  using Clock = std::chrono::steady_clock;
  void open(OpIndex op, std::uint64_t identity, bool in_pass);
  void close();
  void note_others();
  void look_around();
  void mark_exclusive(ValueIndex value);
  bool dead(ValueIndex value) const;
  char& alive(ValueIndex value);

  StepRecord& record_;
  torch_bridge::MemoryLedger& ledger_;
  const torch_bridge::HomeStream& home_;
  bool measures_;
  torch_bridge::MemoryCounters counters_;
  Clock::time_point began_;
  Clock::time_point replay_began_;
  std::int64_t excluded_ = 0;
  std::int64_t replaying_ = 0;
  std::int64_t alive_bytes_ = 0;
  std::int64_t found_alive_ = 0;  // of alive_bytes_, what did not come in this moment
  std::uint64_t signature_;
  bool is_open_ = false;
  bool clock_runs_ = false;
  bool ran_ = false;  // something ran since autograd asked last
  std::vector<char> is_alive_;
  std::vector<MomentIndex> exclusive_since_;
  std::vector<ValueIndex> shared_;  // alive, and perhaps somebody else's
};

}  // namespace remat::tape

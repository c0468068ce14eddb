// Lower bounds for a ReplayProblem: minimum cuts with a price for memory.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "plan/max_flow.h"
#include "plan/replay_problem.h"

namespace remat::plan {

/// What is known of an op while solutions are searched.
enum class OpChoice : std::uint8_t { kOpen, kReplayed, kNotReplayed };

/// The replays that are best at some price of memory.
struct ReplayCut {
  std::int64_t bound = 0;  ///< no solution takes less time
  std::int64_t time = 0;   ///< of this one
  std::int64_t bytes = 0;  ///< resident in this one; it is a solution if they fit
  std::vector<bool> replayed;
};

/// At a price, the cheapest choice of resident values and replays is a minimum cut (project selection):
/// source -> op for each needed value, as much as keeping it costs; op -> sink, its time; op -> what its
/// replay reads, without limit; that value -> its op, as much as keeping it costs. The time of the
/// cheapest, less the price of the room, bounds the time of what fits into the room: Lagrange's relaxation.
/// All in whole numbers, rounded to the side on which the bound stays one.
///
/// Times are in units of 2^-k ns, for `time_shift` = k.
class ReplayCuts {
 public:
  ReplayCuts(const ReplayProblem& problem, int time_shift);

  int ops() const { return static_cast<int>(problem_.ops.size()); }
  std::int64_t room() const { return problem_.room; }
  std::int64_t time(Place op) const { return times_[static_cast<std::size_t>(op)]; }

  void choose(Place op, OpChoice choice) { choices_[static_cast<std::size_t>(op)] = choice; }

  /// The cut at a price, in units of time for a byte. Empty if the choices cannot be.
  std::optional<ReplayCut> at_price(double price);
  /// The cut of fewest bytes, its bound 0. Empty if the choices cannot be.
  std::optional<ReplayCut> of_least_bytes();
  /// How few bytes can be resident. Never too many, where the work runs out fewer.
  std::int64_t least_bytes();

  void limit_work(std::int64_t work) { work_left_ = work; }
  bool out_of_work() const { return work_left_ <= 0; }
  std::int64_t work_left() const { return work_left_; }

 private:
  void build_network();
  void set_capacities(double price);
  void set_byte_capacities();
  std::int64_t run();
  ReplayCut what_was_cut() const;
  bool replayed(Place op) const { return flow_->reached(node_of(op)); }
  static MaxFlow::Node node_of(Place op) { return op + 2; }

  const ReplayProblem& problem_;
  std::vector<std::int64_t> times_;  // of ops, in units
  std::vector<OpChoice> choices_;
  std::vector<MaxFlow::Node> node_of_value_;  // the source for needed values
  std::vector<MaxFlow::Edge> edge_of_value_;  // what keeping it costs
  std::vector<MaxFlow::Edge> sink_edge_of_op_;
  std::vector<MaxFlow::Edge> source_edge_of_op_;
  std::optional<MaxFlow> flow_;
  int byte_shift_ = 0;
  std::int64_t dearest_ = 0;  // more than all replays together
  std::int64_t work_left_ = 0;
};

}  // namespace remat::plan

// What a plan has to decide at one moment: which values are resident, which ops run again afterwards.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/bound_graph.h"

namespace remat::plan {

/// Each needed value, and each value that a replayed op reads, is resident at the moment or its op is
/// replayed after it. What is resident must fit into `room`. Which op replays cost least?
struct ReplayProblem {
  struct Value {
    std::int64_t bytes = 0;
    Place op = -1;        ///< of `ops`; -1: it cannot be made again
    bool needed = false;  ///< by first runs; else only by replays
    bool gone = false;    ///< its storage was handed over just now: it is not resident
  };
  struct Op {
    Place place = 0;  ///< in the graph
    std::int64_t time = 0;
    std::vector<Place> reads;  ///< of `values`; what is resident in any case is not among them
  };

  std::int64_t forced = 0;  ///< bytes in use in every plan, OpGraph::fixed included
  std::int64_t room = 0;    ///< what is left of the budget; may be negative
  std::vector<Value> values;
  std::vector<Op> ops;
};

struct MomentBudget {
  Place moment = 0;
  std::int64_t budget = 0;
};
/// The problem at one moment. Ops that are replayed in every plan cost nothing: BoundGraph::must_replay_time
/// has them already.
///
/// Cost: linear in the graph.
ReplayProblem replay_problem(const BoundGraph& graph, MomentBudget what);

}  // namespace remat::plan

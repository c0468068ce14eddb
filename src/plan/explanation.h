// What a plan keeps and what it drops, what that costs, and where the step is tightest.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <remat/graph.h>

namespace remat::plan {

/// Values that ops of one name made in forward and that backward finds. In all groups, ops whose names differ
/// only in the number of their layer are of one name.
struct KeptGroup {
  std::string made_by;
  std::int64_t values = 0;
  Bytes bytes;
  Bytes pinned;                             ///< of these, what no op may make again
  std::chrono::nanoseconds replay_time{0};  ///< of running the ops of the rest again, once each
};

/// What ops of one name make more than once.
struct ReplayedGroup {
  std::string made_by;
  std::int64_t values = 0;  ///< those that backward does not find
  Bytes bytes;
  std::int64_t replays = 0;  ///< runs beyond the first of each op
  std::chrono::nanoseconds time{0};
};

/// What is live at one moment, by who made it.
struct LiveGroup {
  std::string what;
  std::int64_t values = 0;
  Bytes bytes;
};

/// The moment of the largest memory, the first of them.
struct BindingMoment {
  std::string op;  ///< its name and id; empty if the peak is before the first op
  bool backward = false;
  bool replay = false;
  Bytes live;
  std::vector<LiveGroup> groups;  ///< add up to `live`; the largest first
};

struct Explanation {
  std::vector<KeptGroup> kept;          ///< the largest first
  std::vector<ReplayedGroup> replayed;  ///< the largest first
  BindingMoment binding;
};

/// `plan` is a valid plan for `graph`.
/// Errors: InvalidArgument if the graph cannot be or the plan is not valid for it.
/// Cost:   linear in graph and plan.
Explanation explain(const OpGraph& graph, const Plan& plan);

/// The same of a chain: kept are stages and activations, replayed is a stage that runs more often or takes
/// longer than in the plain step; its bytes are those that it saves.
Explanation explain(const Chain& chain, const ChainPlan& plan);

/// What the stages before the first backward leave to it, the chain's input not among it.
/// Errors: as explain.
Bytes kept_bytes(const Chain& chain, const ChainPlan& plan);

}  // namespace remat::plan

// A plan for a recorded step, as the tape follows it.
#pragma once

#include <cstdint>
#include <vector>

#include <remat/graph.h>

#include "tape/step_graph.h"

namespace remat::tape {

/// A plan, moment by moment.
struct StepPlan {
  enum class Kind : std::uint8_t {
    kFirst,       ///< a moment's own run: `subject` is the event with which it begins
    kReplay,      ///< `subject` is a value to make again
    kDrop,        ///< `subject` is a value to let go of
    kPack,        ///< `subject` is a value to let go of, but for its packed form
    kDropPacked,  ///< `subject` is a value whose packed form to let go of
  };
  struct Entry {
    Kind kind = Kind::kFirst;
    bool continues = false;  ///< of replays: of the same run as the entry before
    std::int32_t subject = 0;
  };

  StepGraph graph;
  Plan plan;
  Bytes plain_peak;
  Bytes min_feasible;           ///< the smallest budget for which a plan was found
  Bytes asked;                  ///< the budget that it was made for; plan.budget may be less
  bool loaded = false;          ///< from a file
  std::int64_t number = 0;      ///< of the plans of a budget
  std::vector<char> has_entry;  ///< by event
  std::vector<char> decides;    ///< by value: whether the plan says when it is in memory
  std::vector<Entry> entries;
};

/// `plan` is one for `graph.graph`.
StepPlan compile(StepGraph graph, Plan plan);

}  // namespace remat::tape

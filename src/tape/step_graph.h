// A recorded step as a graph for the planners.
#pragma once

#include <cstdint>
#include <vector>

#include <remat/graph.h>

#include "tape/moment_meter.h"
#include "tape/parameter_names.h"
#include "tape/records.h"

namespace remat::tape {

constexpr std::int32_t kNoEvent = -1;

/// The graph, and what its operators and values are on the tape.
struct StepGraph {
  OpGraph graph;
  std::vector<std::int32_t> event_of_op;  ///< with which its moment begins; kNoEvent: bookkeeping
  std::vector<ValueIndex> value_of;       ///< by value id; kNone: bookkeeping, or a packed form
  std::vector<ValueIndex> packed_value;   ///< by value id: of which value it is the packed form

  std::vector<std::uint64_t> signatures;  ///< of the step up to each event
  std::int32_t last_asked = kNoEvent;  ///< of the last moment in which autograd asks for anything
  std::int32_t values = 0;             ///< on the tape
  Bytes at_start;                      ///< in use when the step began
};

/// What a measured step did, and where, where `names` tell it. `at_start` are the bytes in use when it began.
///
/// Values are those with sound recipes. In-place operators that take over a value which nobody else reads
/// are one operator with its maker. All else that was allocated rises and falls as it did in this step.
StepGraph graph_of(const StepRecord& record, const MomentMeter& meter, const ParameterNames& names,
                   Bytes at_start);

/// The event with which the last moment begins in which autograd asks for anything; kNoEvent if none does.
std::int32_t last_asked_event(const StepRecord& record);

}  // namespace remat::tape

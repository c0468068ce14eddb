// Baselines for op graphs: the placements every:K, segments:N and sqrt on forward's ops.
#pragma once

#include <remat/graph.h>
#include <remat/placement.h>

namespace remat::plan {

/// Cuts the forward ops into the placement's segments. What later segments read is kept; what only its
/// own segment and backward read is dropped when forward leaves a checkpointed segment, and made again,
/// all that its backward needs at once, when backward first asks for it. What cannot be made again
/// is kept too. `Placement::none()` is the plain step.
///
/// The plan is valid; its predictions are those of simulate(), its bound is the plain time. Its budget
/// is its peak.
/// Errors: InvalidArgument if the graph cannot be, if there are fewer forward ops than segments, or if an
///         op reads a value that was overwritten in place and cannot be made again.
/// Cost:   linear in the graph and what is replayed.
Plan plan_segments(const OpGraph& graph, const Placement& placement);

}  // namespace remat::plan

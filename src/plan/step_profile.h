// Where the time and the memory of a plain step go: by layer of the model, and by kind of operator.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <remat/graph.h>

namespace remat::plan {

/// Some of a step's operators.
struct ProfileGroup {
  std::string name;
  std::int64_t ops = 0;
  std::chrono::nanoseconds forward{0};
  std::chrono::nanoseconds backward{0};
  std::int64_t values = 0;  ///< that they made in forward and backward finds
  Bytes kept;               ///< the bytes of these
  Bytes workspace;          ///< the largest of one of them

  std::chrono::nanoseconds time() const { return forward + backward; }
};

struct StepProfile {
  ProfileGroup all;
  Bytes peak;  ///< of the plain step
  /// The parts of the model as `layer_of` has them, in the order in which the step comes to them; what belongs to
  /// none is the last, with an empty name.
  std::vector<ProfileGroup> layers;
  std::vector<ProfileGroup> kinds;  ///< names without places; what takes longest first
};

/// Errors: InvalidArgument if the graph cannot be (see read_op_graph).
/// Cost:   linear in the graph.
StepProfile profile(const OpGraph& graph);

/// The last of `graphs`, which are of the same step run several times, with median times. Graphs whose operators
/// are not those of the last one do not count.
OpGraph with_median_times(const std::vector<OpGraph>& graphs);

}  // namespace remat::plan

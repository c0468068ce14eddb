// `remat verify`: the same training step, plain and under each policy, compared bit for bit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <remat/bytes.h>
#include <remat/placement.h>

#include "cli/exit_status.h"
#include "cli/run_options.h"
#include "cli/workload.h"

namespace remat::cli {

struct VerifyOptions {
  RunOptions run;
  std::vector<Placement> policies = {Placement::full(), Placement::every(2), Placement::sqrt()};
  std::int64_t repeat = 5;
  /// This program and the arguments that it was called with, to measure resident memory in children.
  /// Empty: resident memory is not measured.
  std::vector<std::string> command;
  /// Set in such a child: measure the resident memory of this policy, and nothing else.
  std::optional<Placement> resident_of;
};

/// The steps of one contender, in the order of the repeats.
struct Measurement {
  std::vector<std::int64_t> forward_ns;
  std::vector<std::int64_t> step_ns;
  Bytes peak;                         ///< the largest of the repeats
  std::optional<Bytes> resident;      ///< growth of a process that does nothing else, at its peak
  std::int64_t recomputed_calls = 0;  ///< the same in every repeat
};

/// One policy against plain.
struct PolicyRun {
  Placement policy = Placement::none();
  Measurement measured;
  bool loss_identical = true;
  bool gradients_identical = true;  ///< and the parameters after the optimizer's step
  bool buffers_identical = true;

  bool identical() const { return loss_identical && gradients_identical && buffers_identical; }
};

struct Verification {
  std::int64_t threads = 0;  ///< of LibTorch
  std::string blas;          ///< blas_name()
  Bytes fixed;               ///< live before the forward once gradients and optimizer state exist
  Measurement plain;
  std::vector<PolicyRun> runs;

  bool identical() const;
};

/// Measures `repeat` steps of each contender, interleaved, all from the same start.
/// Errors: Error if plain does not repeat itself, memory leaks from one step into the next, or a
///         policy recomputes differently often from one repeat to the next.
Verification measure_policies(Workload& workload, const VerifyOptions& options);

/// Adds the verb and its flags to `program`.
CLI::App* add_verify(CLI::App& program, VerifyOptions& options);

/// Measures and reports. kFailed if anything differs.
/// Errors: as measure_policies, and InvalidArgument for options that cannot be.
ExitStatus verify(const VerifyOptions& options);

}  // namespace remat::cli

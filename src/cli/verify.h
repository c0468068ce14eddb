// `remat verify`: the same training step, plain and under each policy, compared bit for bit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <remat/budget.h>
#include <remat/bytes.h>

#include "cli/exit_status.h"
#include "cli/memory_choice.h"
#include "cli/policy.h"
#include "cli/run_options.h"
#include "cli/workload.h"

namespace remat::cli {

struct VerifyOptions {
  RunOptions run;
  std::vector<Policy> policies = {Placement::full(), Placement::every(2), Placement::sqrt()};
  std::optional<MemoryChoice> memory;  ///< a budget to compare too
  std::int64_t effort = 0;             ///< of the search of plans for budgets; 0: the default
  std::int64_t repeat = 5;
  /// This program and the arguments that it was called with, to measure resident memory in children.
  /// Empty: resident memory is not measured.
  std::vector<std::string> command;
  /// Set in such a child: measure the resident memory of this policy, and nothing else.
  std::optional<Policy> resident_of;
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
  Policy policy = Placement::none();
  Measurement measured;
  Measurement plain;                   ///< in the same repeats
  std::optional<BudgetReport> budget;  ///< of the last step, with the largest peak of the repeats
  bool loss_identical = true;
  bool gradients_identical = true;  ///< and the parameters after the optimizer's step
  bool buffers_identical = true;

  bool identical() const { return loss_identical && gradients_identical && buffers_identical; }
  bool within_budget() const { return !budget || budget->tracked_peak <= budget->memory; }
};

struct Verification {
  std::int64_t threads = 0;  ///< of LibTorch
  std::string blas;          ///< blas_name()
  Bytes fixed;               ///< live before the forward once gradients and optimizer state exist
  Measurement plain;
  std::vector<PolicyRun> runs;

  bool identical() const;
  bool within_budgets() const;
};

/// Measures `repeat` steps of each contender, all from the same start: those under placements interleaved with
/// plain, then those within each budget, once its plan is proven, interleaved with plain again, because
/// a process can have one budget at a time.
/// Errors: Error if plain does not repeat itself, memory leaks from one step into the next, a
///         policy recomputes differently often from one repeat to the next, or no plan for a budget holds;
///         BudgetError, with the smallest budget known to work, if a step does not fit one.
Verification measure_policies(Workload& workload, const VerifyOptions& options);

/// Adds the verb and its flags to `program`.
CLI::App* add_verify(CLI::App& program, VerifyOptions& options);

/// Measures and reports. kFailed if anything differs, or takes more than its budget.
/// Errors: as measure_policies, and InvalidArgument for options that cannot be.
ExitStatus verify(const VerifyOptions& options);

}  // namespace remat::cli

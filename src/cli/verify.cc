#include "cli/verify.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include <fmt/format.h>

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <remat/error.h>

#include "base/check.h"
#include "cli/blas.h"
#include "cli/budget_run.h"
#include "cli/numbers.h"
#include "cli/resident.h"
#include "cli/verify_report.h"

namespace remat::cli {
namespace {

constexpr std::int64_t kMaxRepeat = 100'000;

std::string policy_help(const std::vector<Policy>& policies) {
  std::string defaults;
  for (const auto& policy : policies)
    defaults += (defaults.empty() ? "" : ", ") + policy.to_string();
  return fmt::format("What to compare with plain, may be repeated: {} (default {})",
                     Policy::forms(), defaults);
}

Policy read_policy(const std::string& text) {
  try {
    return Policy::parse(text);
  } catch (const InvalidArgument& error) {
    throw CLI::ValidationError("--policy", error.what());
  }
}

void read_policies(VerifyOptions& options, const std::vector<std::string>& texts) {
  options.policies.clear();
  for (const auto& text : texts) options.policies.push_back(read_policy(text));
}

void measure_resident(const std::vector<std::string>& command, Verification& verification) {
  if (command.empty()) return;
  verification.plain.resident = resident_growth_in_child(command, Placement::none());
  for (auto& run : verification.runs) {
    const auto bytes = run.budget ? std::to_string(run.budget->memory.count()) : "";
    run.measured.resident = resident_growth_in_child(
        command, run.budget ? Policy(MemoryChoice::parse(bytes)) : run.policy);
  }
}

// On a GPU LibTorch's fastest kernels add in the order in which threads come. For the rest of the process.
void compute_repeatably() {
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);  // cuBLAS's own condition for it
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicCuDNN(true);
}

// Before anything is loaded.
void check(const VerifyOptions& options) {
  std::vector<Placement> placements;
  bool any_budget = false;
  for (const auto& policy : options.policies) {
    if (policy.placement() != nullptr) placements.push_back(*policy.placement());
    any_budget |= policy.budget() != nullptr;
  }
  check(options.run, placements);
  REMAT_CHECK(any_budget || options.effort == 0, InvalidArgument,
              "--effort {} needs a budget: give --memory, or a policy as in --policy budget:50%",
              options.effort);
}

ExitStatus compare(const VerifyOptions& options) {
  check(options);
  Workload workload(options.run);
  auto verification = measure_policies(workload, options);
  measure_resident(options.command, verification);
  verification.threads = at::get_num_threads();
  verification.blas = blas_name();
  std::cout << (options.run.json ? json_report(verification)
                                 : text_report(verification, options, workload.parameter_count()));
  return verification.identical() && verification.within_budgets() ? kDone : kFailed;
}

}  // namespace

bool Verification::identical() const {
  return std::all_of(runs.begin(), runs.end(),
                     [](const PolicyRun& run) { return run.identical(); });
}

bool Verification::within_budgets() const {
  return std::all_of(runs.begin(), runs.end(),
                     [](const PolicyRun& run) { return run.within_budget(); });
}

CLI::App* add_verify(CLI::App& program, VerifyOptions& options) {
  auto* verb = program.add_subcommand(
      "verify", "Compare a training step under policies with the plain one: bits, memory and time");
  add_run_flags(*verb, options.run);
  verb->add_option_function<std::vector<std::string>>(
          "--policy",
          [&options](const std::vector<std::string>& texts) { read_policies(options, texts); },
          policy_help(options.policies))
      ->allow_extra_args(false)
      ->type_name("POLICY");
  add_memory_flag(
      *verb, options.memory,
      "Compare a budget too, as by --policy budget:...: a size, all included, as in 1.5GiB, or a "
      "share of the plain step's activations, as in 50%");
  add_effort_flag(*verb, options.effort);
  verb->add_option("--repeat", options.repeat, "Measured steps of each policy, interleaved")
      ->capture_default_str()
      ->transform(whole_number(1, kMaxRepeat))
      ->type_name("N");
  verb->add_option_function<std::string>(
          "--resident-of",
          [&options](const std::string& text) { options.resident_of = read_policy(text); })
      ->group("");  // for the children of this verb
  verb->footer(
      "Takes the flags of `remat train` that shape a step; --steps changes nothing here. Exits with 1 if loss, gradients or buffers differ from plain's in any bit, or a step takes more than its budget; with 3 if a budget is too small.");
  return verb;
}

ExitStatus verify(const VerifyOptions& options) {
  if (options.run.device.is_cuda()) compute_repeatably();
  if (options.resident_of) {
    const auto growth = resident_growth(options.run, *options.resident_of, options.effort);
    std::cout << growth.count() << '\n';
    return kDone;
  }
  auto all = options;
  if (all.memory) all.policies.emplace_back(*all.memory);
  return compare(all);
}

}  // namespace remat::cli

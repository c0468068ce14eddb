#include "cli/verify.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include <fmt/format.h>

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include "cli/blas.h"
#include "cli/numbers.h"
#include "cli/resident.h"
#include "cli/verify_report.h"

namespace remat::cli {
namespace {

constexpr std::int64_t kMaxRepeat = 100'000;

std::string policy_help(const std::vector<Placement>& policies) {
  std::string defaults;
  for (const auto& policy : policies)
    defaults += (defaults.empty() ? "" : ", ") + policy.to_string();
  return fmt::format("What to compare with plain, may be repeated: {} (default {})",
                     Placement::forms(), defaults);
}

void read_policies(VerifyOptions& options, const std::vector<std::string>& texts) {
  options.policies.clear();
  for (const auto& text : texts) options.policies.push_back(parse_policy(text));
}

void measure_resident(const std::vector<std::string>& command, Verification& verification) {
  if (command.empty()) return;
  verification.plain.resident = resident_growth_in_child(command, Placement::none());
  for (auto& run : verification.runs) {
    run.measured.resident = resident_growth_in_child(command, run.policy);
  }
}

// On a GPU LibTorch's fastest kernels add in the order in which threads come. For the rest of the process.
void compute_repeatably() {
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);  // cuBLAS's own condition for it
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicCuDNN(true);
}

}  // namespace

bool Verification::identical() const {
  return std::all_of(runs.begin(), runs.end(),
                     [](const PolicyRun& run) { return run.identical(); });
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
  verb->add_option("--repeat", options.repeat, "Measured steps of each policy, interleaved")
      ->capture_default_str()
      ->transform(whole_number(1, kMaxRepeat))
      ->type_name("N");
  verb->add_option_function<std::string>(
          "--resident-of",
          [&options](const std::string& text) { options.resident_of = parse_policy(text); })
      ->group("");  // for the children of this verb
  verb->footer(
      "Takes the flags of `remat train` that shape a step; --steps changes nothing here. Exits with 1 if loss, gradients or buffers differ from plain's in any bit.");
  return verb;
}

ExitStatus verify(const VerifyOptions& options) {
  check(options.run, options.policies);
  if (options.resident_of) {
    std::cout << resident_growth(options.run, *options.resident_of).count() << '\n';
    return kDone;
  }
  if (options.run.device.is_cuda()) compute_repeatably();
  Workload workload(options.run);
  auto verification = measure_policies(workload, options);
  measure_resident(options.command, verification);
  verification.threads = at::get_num_threads();
  verification.blas = blas_name();
  std::cout << (options.run.json ? json_report(verification)
                                 : text_report(verification, options, workload.parameter_count()));
  return verification.identical() ? kDone : kFailed;
}

}  // namespace remat::cli

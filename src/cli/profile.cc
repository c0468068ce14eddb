#include "cli/profile.h"

#include <iostream>
#include <memory>

#include <fmt/format.h>

#include <remat/budget.h>

#include "base/atomic_file.h"
#include "cli/budget_run.h"
#include "cli/choices.h"
#include "cli/profile_report.h"
#include "cli/workload.h"
#include "plan/step_profile.h"

namespace remat::cli {
namespace {

constexpr std::int64_t kDefaultSteps = 3;
// More than any machine has, and far from overflowing where it is added to.
constexpr Bytes kUnlimited(std::int64_t{1} << 60);

std::string name_of_run(const RunOptions& run) {
  return fmt::format("{}_{}x{}_batch{}x{}", name_of(models::kDecoderStyles, run.model.style),
                     run.model.layers, run.model.dim, run.batch, run.model.seq);
}

/// Takes plain steps, and steps on the tape beside them, in turns: what slows the machine slows both.
class Profiler {
 public:
  Profiler(Workload& workload, const RunOptions& options)
      : workload_(workload), options_(options) {}

  ProfiledStep run() {
    workload_.warm_up([this] { return plain_step(); });
    result_.plain_ns.clear();
    for (std::int64_t i = 0; i < options_.steps; ++i) record();
    result_.graph = plan::with_median_times(graphs_);
    follow();
    return std::move(result_);
  }

 private:
  StepRecord plain_step() {
    const auto record = workload_.plain_step(workload_.next_batch());
    result_.plain_ns.push_back(record.step_ns);
    return record;
  }

  void record() {
    plain_step();
    Budget budget(budget_options(options_, kUnlimited, 0));
    budget.name_parameters(workload_.model());
    const auto record = workload_.step_within(workload_.next_batch(), budget);
    result_.recorded_ns.push_back(record.step_ns);
    result_.tracked_peak = budget.report().tracked_peak;
    graphs_.push_back(*budget.graph());
  }

  void follow() {
    Budget budget(budget_options(options_, kUnlimited, 0));
    const auto step = [&] { return workload_.step_within(workload_.next_batch(), budget); };
    settle(budget, step);
    for (std::int64_t i = 0; i < options_.steps; ++i) {
      plain_step();
      result_.followed_ns.push_back(step().step_ns);
    }
  }

  Workload& workload_;
  const RunOptions& options_;
  ProfiledStep result_;
  std::vector<OpGraph> graphs_;
};

}  // namespace

CLI::App* add_profile(CLI::App& program, ProfileOptions& options) {
  options.run.steps = kDefaultSteps;
  auto* verb = program.add_subcommand(
      "profile",
      "Measure where time and memory of a training step go, and write it as an op graph");
  add_run_flags(*verb, options.run);
  verb->add_option("--out", options.out, "Writes the step to this file, for `remat plan`")
      ->type_name("GRAPH.json");
  verb->footer(
      "Takes the flags of `remat train` that shape a step. --steps says how many are measured of each sort:\n"
      "plain, recorded, and following a plan. Times are medians. docs/formats.md describes the file.");
  return verb;
}

ExitStatus profile(const ProfileOptions& options) {
  check(options.run, {});
  const auto out =
      options.out.empty() ? nullptr : std::make_unique<AtomicFile>("--out", options.out);
  Workload workload(options.run);
  auto step = Profiler(workload, options.run).run();
  step.graph.name = name_of_run(options.run);
  if (out) {
    out->write(to_json(step.graph));
    out->commit();
  }
  std::cout << (options.run.json ? json_report(step) : text_report(step, options));
  return kDone;
}

}  // namespace remat::cli

#include "cli/resident.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <remat/error.h>

#include "base/check.h"
#include "cli/budget_run.h"
#include "cli/workload.h"

extern char** environ;

namespace remat::cli {
namespace {

// A line of /proc/self/status: VmRSS is resident now, VmHWM the most there was.
Bytes status(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key + ":", 0) == 0) return Bytes(std::stoll(line.substr(key.size() + 1)) * 1024);
  }
  fail<Error>("/proc/self/status has no {}: resident memory cannot be measured here", key);
}

RunOptions tiny(RunOptions options) {
  options.model.layers = 1;
  options.model.dim = 4 * options.model.heads;
  options.model.seq = std::min<std::int64_t>(options.model.seq, 8);
  options.batch = 1;
  return options;
}

void run_steps(const RunOptions& options, const Placement& placement) {
  Workload workload(options);
  const auto step = [&] { return workload.step(workload.next_batch(), placement); };
  // The first step makes gradients and the optimizer's state, the second has them from the start.
  Workload::warm_up(step);
  step();
}

void run_steps_within(const RunOptions& options, const BudgetOptions& budget_options) {
  Budget budget(budget_options);
  Workload workload(options);
  const auto step = [&] { return workload.step_within(workload.next_batch(), budget); };
  Workload::warm_up(step);
  settle(budget, step);
}

std::string read_all(int file) {
  std::string text;
  std::array<char, 256> buffer;
  for (ssize_t count = 0; (count = read(file, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return text;
}

// What the program wrote to stdout, and the status that waitpid gave.
std::pair<std::string, int> run(std::vector<std::string> command) {
  std::vector<char*> argv;
  for (auto& argument : command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::array<int, 2> ends;
  REMAT_CHECK(pipe(ends.data()) == 0, Error, "remat verify: no pipe to a child process");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  pid_t child = 0;
  const int error = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  const std::string out = error == 0 ? read_all(ends[0]) : "";
  close(ends[0]);
  REMAT_CHECK(error == 0, Error, "remat verify: {} cannot be run to measure resident memory",
              command.front());
  int status = 0;
  waitpid(child, &status, 0);
  return {out, status};
}

}  // namespace

Bytes resident_growth(const RunOptions& options, const Policy& policy, std::int64_t effort) {
  run_steps(tiny(options), Placement::none());
  const Bytes before = status("VmRSS");
  if (const auto* budget = policy.budget()) {
    REMAT_CHECK(budget->size(), InvalidArgument,
                "--resident-of {}: give the budget as a size: measuring the plain step would be seen too",
                policy.to_string());
    run_steps_within(options, budget_options(options, *budget->size(), effort));
  } else {
    run_steps(options, *policy.placement());
  }
  return status("VmHWM") - before;
}

Bytes resident_growth_in_child(std::vector<std::string> command, const Policy& policy) {
  command.insert(command.end(), {"--resident-of", policy.to_string()});
  const auto [out, status] = run(std::move(command));
  REMAT_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0 && !out.empty(), Error,
              "remat verify: the process that measures resident memory under {} ended with {} {}; if "
              "memory was short, try a smaller --batch or --seq",
              policy.to_string(), WIFEXITED(status) ? "status" : "signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  return Bytes(std::stoll(out));
}

}  // namespace remat::cli

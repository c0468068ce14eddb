// Trainings that are killed, and what they go on with.
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <random>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/exit_status.h"
#include "cli/program.h"
#include "cli/state_file.h"
#include "tests/cli/run_here.h"
#include "tests/cli/small_runs.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::content_of;
using ::remat::testing::joined;
using ::remat::testing::run_here;
using ::remat::testing::TemporaryFile;
using ::remat::testing::tiny;

// A program that trains, without the half second that loading LibTorch takes.
pid_t start(Arguments arguments) {
  const pid_t child = fork();
  if (child != 0) return child;
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  dup2(nowhere, STDOUT_FILENO);
  dup2(nowhere, STDERR_FILENO);
  arguments.insert(arguments.begin(), "remat");
  std::vector<const char*> argv;
  for (const auto& argument : arguments) argv.push_back(argument.c_str());
  _exit(run_program(static_cast<int>(argv.size()), argv.data()));
}

class Killed : public remat::testing::SmallRuns {
 protected:
  ~Killed() override { unlink((state_.path() + ".tmp").c_str()); }

  Arguments training(const Arguments& more) const {
    const Arguments flags = {"--dtype", "bf16", "--accumulate", "2",
                             "--clip",  "1",    "--sample",     "0"};
    return tiny("train", text_, joined(flags, more));
  }

  // Steps done; 0 before the first save.
  std::int64_t steps_saved() const {
    return content_of(state_.path()).empty()
               ? 0
               : read_state_file(state_.path()).state.at("step").get<std::int64_t>();
  }

  // What the file holds after `steps` steps that nothing disturbed.
  std::string undisturbed(std::int64_t steps) const {
    const TemporaryFile file("");
    run_here(training({"--steps", std::to_string(steps), "--save", file.path()}));
    return content_of(file.path());
  }

  TemporaryFile state_{""};
};

TEST_F(Killed, FiftyTimesAtRandomMomentsAlwaysGoesOn) {
  std::mt19937 random(1);
  // As long as a start with a few steps takes on this machine.
  const auto before = std::chrono::steady_clock::now();
  undisturbed(2);
  const auto start_us = std::chrono::duration_cast<std::chrono::microseconds>(
                            std::chrono::steady_clock::now() - before)
                            .count();
  std::uniform_int_distribution<std::int64_t> delay_us(start_us / 10, 4 * start_us);
  const std::vector<const char*> policies = {"none", "full", "every:2", "sqrt"};
  int torn_temporaries = 0, kills_after_progress = 0;
  std::int64_t steps = 0;
  for (std::size_t kill_number = 0; kill_number < 50; ++kill_number) {
    auto arguments = training({"--steps", "1000000", "--save-every", "1", "--save", state_.path(),
                               "--policy", policies[kill_number % policies.size()]});
    if (steps > 0) arguments = joined(arguments, {"--resume", state_.path()});
    const pid_t child = start(arguments);
    ASSERT_GT(child, 0);
    std::this_thread::sleep_for(std::chrono::microseconds(delay_us(random)));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself, with " << WEXITSTATUS(status);
    const auto now = steps_saved();  // throws if the file does not load
    ASSERT_GE(now, steps);
    kills_after_progress += now > steps ? 1 : 0;
    torn_temporaries += access((state_.path() + ".tmp").c_str(), F_OK) == 0 ? 1 : 0;
    steps = now;
  }
  EXPECT_GT(kills_after_progress, 5);
  EXPECT_GT(torn_temporaries, 0);
  EXPECT_EQ(content_of(state_.path()), undisturbed(steps));
}

TEST_F(Killed, ResumesBitForBitUnderEveryPolicyDtypeAndAccumulation) {
  for (const char* dtype : {"f32", "bf16"}) {
    for (const char* accumulate : {"1", "2"}) {
      const auto train = [&](const char* policy, const char* steps, const Arguments& more) {
        const auto run =
            run_here(tiny("train", text_,
                          joined({"--dtype", dtype, "--accumulate", accumulate, "--policy", policy,
                                  "--steps", steps, "--sample", "0"},
                                 more)));
        ASSERT_EQ(run.status, kDone) << run.err;
      };
      const TemporaryFile straight(""), halves("");
      train("none", "6", {"--save", straight.path()});
      for (const char* policy : {"none", "full", "every:2", "segments:3", "sqrt"}) {
        SCOPED_TRACE(::testing::Message() << dtype << " " << accumulate << " " << policy);
        train(policy, "2", {"--save", halves.path()});
        EXPECT_NE(content_of(halves.path()), content_of(straight.path()));
        train(policy, "6", {"--resume", halves.path(), "--save", halves.path()});
        EXPECT_EQ(content_of(halves.path()), content_of(straight.path()));
      }
    }
  }
}

}  // namespace
}  // namespace remat::cli

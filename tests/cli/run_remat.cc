#include "tests/cli/run_remat.h"

#include <array>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace remat::testing {
namespace {

void require(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

// Where the parent reads what the child writes.
struct Channel {
  int read_end = -1;
  int write_end = -1;
};

Channel open_pipe() {
  std::array<int, 2> ends{};
  require(pipe2(ends.data(), O_CLOEXEC) == 0, "pipe2 failed");
  return {ends[0], ends[1]};
}

Channel open_terminal(unsigned short columns) {
  Channel channel;
  winsize size{};
  size.ws_row = 24;
  size.ws_col = columns;
  require(openpty(&channel.read_end, &channel.write_end, nullptr, nullptr, &size) == 0,
          "openpty failed");
  require(fcntl(channel.read_end, F_SETFD, FD_CLOEXEC) == 0, "fcntl failed");
  return channel;
}

Arguments command_of(Arguments arguments) {
  arguments.insert(arguments.begin(), REMAT_PROGRAM_PATH);
  return arguments;
}

pid_t spawn(Arguments command, const Channel& out, const Channel& err) {
  std::vector<char*> argv;
  for (auto& argument : command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::string term = "TERM=xterm";
  std::vector<char*> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (std::string_view(*variable).substr(0, 5) != "TERM=") environment.push_back(*variable);
  }
  environment.push_back(term.data());
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out.write_end, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.write_end, STDERR_FILENO);
  // What a shell starts in the background ignores SIGINT; the program is to see it all the same.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child = -1;
  const int error =
      posix_spawn(&child, argv[0], &actions, &attributes, argv.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  require(error == 0, "cannot start " REMAT_PROGRAM_PATH);
  return child;
}

// False at the end; a terminal whose last writer is gone reports an error instead.
bool read_some(int file, std::string& text) {
  std::array<char, 4096> chunk{};
  const auto count = read(file, chunk.data(), chunk.size());
  if (count <= 0) return false;
  text.append(chunk.data(), static_cast<std::size_t>(count));
  return true;
}

int exit_status(pid_t child) {
  int status = 0;
  require(waitpid(child, &status, 0) == child, "waitpid failed");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// What is sent to the program, and how long after its first line of progress.
struct Interruption {
  int signal = 0;  // 0: none
  int delay_ms = 0;
};

ProgramRun run(const Arguments& command, const Channel& err, Interruption interruption) {
  const auto out = open_pipe();
  const pid_t child = spawn(command, out, err);
  close(out.write_end);
  close(err.write_end);
  ProgramRun result;
  std::array<pollfd, 2> files = {pollfd{out.read_end, POLLIN, 0}, pollfd{err.read_end, POLLIN, 0}};
  while (files[0].fd >= 0 || files[1].fd >= 0) {
    require(poll(files.data(), files.size(), -1) > 0, "poll failed");
    if (files[0].revents != 0 && !read_some(files[0].fd, result.out)) files[0].fd = -1;
    if (files[1].revents != 0 && !read_some(files[1].fd, result.err)) files[1].fd = -1;
    if (interruption.signal != 0 && result.err.find('\n') != std::string::npos) {
      usleep(static_cast<useconds_t>(interruption.delay_ms) * 1000);
      kill(child, interruption.signal);
      interruption.signal = 0;
    }
  }
  close(out.read_end);
  close(err.read_end);
  result.status = exit_status(child);
  return result;
}

}  // namespace

ProgramRun run_remat(const Arguments& arguments) {
  return run(command_of(arguments), open_pipe(), {});
}

ProgramRun run_remat_in(const MemoryGroup& group, const Arguments& arguments) {
  Arguments command = {"/bin/sh", "-c", "echo 0 > \"$0\" && exec \"$@\"", group.joining_file()};
  for (const auto& word : command_of(arguments)) command.push_back(word);
  return run(command, open_pipe(), {});
}

ProgramRun run_remat_on_terminal(const Arguments& arguments, unsigned short columns) {
  return run(command_of(arguments), open_terminal(columns), {});
}

ProgramRun run_remat_and_interrupt(const Arguments& arguments) {
  return run(command_of(arguments), open_pipe(), {SIGINT, 0});
}

ProgramRun run_remat_and_kill(const Arguments& arguments, int delay_ms) {
  return run(command_of(arguments), open_pipe(), {SIGKILL, delay_ms});
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace remat::testing

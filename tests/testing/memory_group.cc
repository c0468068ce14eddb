#include "tests/testing/memory_group.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace remat::testing {
namespace {

namespace fs = std::filesystem;

// Of a group whose last process has just ended, until the kernel lets it be removed.
constexpr auto kPatience = std::chrono::seconds(10);

bool write_to(const fs::path& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const auto written = write(file, text.data(), text.size());
  close(file);
  return written == static_cast<ssize_t>(text.size());
}

// The number behind `key` in a file of lines such as "oom_kill 1"; without a key, all there is.
std::int64_t read_number(const fs::path& path, const std::string& key = "") {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) == 0) return std::stoll(line.substr(key.size()));
  }
  throw std::runtime_error(path.string() + " has no " + (key.empty() ? "number" : key));
}

struct Hierarchy {
  int version = 0;
  fs::path root;  // where it is mounted
};

// A line of mountinfo: "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory".
std::vector<Hierarchy> hierarchies() {
  std::vector<Hierarchy> found;
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    const std::vector<std::string> all{std::istream_iterator<std::string>(words), {}};
    std::size_t dash = 0;
    while (dash < all.size() && all[dash] != "-") ++dash;
    if (dash + 3 >= all.size() || dash < 5) continue;
    const auto& type = all[dash + 1];
    const bool v1 = type == "cgroup" && (all[dash + 3] + ",").find(",memory,") != std::string::npos;
    if (v1 || type == "cgroup2") found.push_back({v1 ? 1 : 2, all[4]});
  }
  return found;
}

// This process's group below the root, as a line of /proc/self/cgroup has it: "4:memory:/user", "0::/user".
fs::path own_group(int version) {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool is_it =
        version == 2 ? controllers == ",," : controllers.find(",memory,") != std::string::npos;
    if (is_it) return fs::path(line.substr(second + 1)).relative_path();
  }
  return {};
}

// The root, and the groups on the way down to this process's. The higher, the less does this process's group
// know of it: its limit, and who is to remove it.
std::vector<fs::path> possible_parents(const Hierarchy& hierarchy) {
  std::vector<fs::path> parents = {hierarchy.root};
  for (const auto& name : own_group(hierarchy.version)) parents.push_back(parents.back() / name);
  return parents;
}

}  // namespace

std::unique_ptr<MemoryGroup> MemoryGroup::make(std::string& why_not) {
  const auto mounted = hierarchies();
  for (const auto& hierarchy : mounted) {
    for (const auto& parent : possible_parents(hierarchy)) {
      if (auto group = make_in(parent, hierarchy.version)) return group;
    }
  }
  why_not = mounted.empty() ? "no hierarchy of memory control groups is mounted here"
                            : "this process may make no memory control group below " +
                                  mounted.front().root.string() +
                                  ", or the kernel does not tell such a group's peak";
  return nullptr;
}

std::unique_ptr<MemoryGroup> MemoryGroup::make_in(const fs::path& parent, int version) {
  static int made = 0;
  const auto folder =
      parent / ("remat-test-" + std::to_string(getpid()) + "-" + std::to_string(++made));
  if (mkdir(folder.c_str(), 0755) != 0) return nullptr;
  std::unique_ptr<MemoryGroup> group(new MemoryGroup(folder, version));
  return group->can_be_used() ? std::move(group) : nullptr;
}

// The hierarchy of version 2 may have no memory groups below this parent, or may want no process of ours in one.
bool MemoryGroup::can_be_used() const {
  const char* const peak = version_ == 1 ? "memory.max_usage_in_bytes" : "memory.peak";
  if (access((folder_ / peak).c_str(), R_OK) != 0) return false;
  const pid_t child = fork();
  if (child == 0) _exit(write_to(joining_file(), "0") ? 0 : 1);
  int status = 1;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

MemoryGroup::~MemoryGroup() {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (rmdir(folder_.c_str()) != 0 && errno == EBUSY && std::chrono::steady_clock::now() < end) {
    std::ifstream file(joining_file());
    for (pid_t process = 0; file >> process;) {
      if (process > 0) kill(process, SIGKILL);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void MemoryGroup::limit(Bytes bytes) {
  const auto text = std::to_string(bytes.count());
  const char* const limit = version_ == 1 ? "memory.limit_in_bytes" : "memory.max";
  if (!write_to(folder_ / limit, text)) {
    throw std::runtime_error((folder_ / limit).string() + ": " + std::strerror(errno));
  }
  // Kernels without accounts of swap have no such file.
  if (version_ == 1) write_to(folder_ / "memory.memsw.limit_in_bytes", text);
  if (version_ == 2) write_to(folder_ / "memory.swap.max", "0");
}

Bytes MemoryGroup::peak() const {
  return Bytes(
      read_number(folder_ / (version_ == 1 ? "memory.max_usage_in_bytes" : "memory.peak")));
}

int MemoryGroup::killed() const {
  return static_cast<int>(
      read_number(folder_ / (version_ == 1 ? "memory.oom_control" : "memory.events"), "oom_kill "));
}

}  // namespace remat::testing

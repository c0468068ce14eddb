// A control group, as containers have one, that caps the memory of the processes in it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <remat/bytes.h>

namespace remat::testing {

/// A memory control group of Linux, of version 1 or 2, that is removed at the end, with what still runs in it.
class MemoryGroup {
 public:
  /// nullptr where this process may make none; `why_not` then says what is missing.
  static std::unique_ptr<MemoryGroup> make(std::string& why_not);
  ~MemoryGroup();
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  /// The kernel kills a process of the group where all of them together would take more; swap counts.
  void limit(Bytes bytes);

  /// A process joins when it writes its id to this file, or "0". What it has in memory by then does not count.
  std::string joining_file() const { return folder_ / "cgroup.procs"; }

  /// The most that its processes had in memory together: pages of their own, of files that they were the
  /// first to read or write, and the kernel's for them.
  Bytes peak() const;

  /// How many processes were killed because of the limit.
  int killed() const;

 private:
  MemoryGroup(std::filesystem::path folder, int version)
      : folder_(std::move(folder)), version_(version) {}
  static std::unique_ptr<MemoryGroup> make_in(const std::filesystem::path& parent, int version);
  bool can_be_used() const;

  std::filesystem::path folder_;
  int version_;
};

}  // namespace remat::testing

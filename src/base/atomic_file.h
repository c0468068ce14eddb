// Files that are replaced as a whole or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace remat {

/// A file in the making. Until commit() returns, whatever was at its path stays there untouched, also if
/// the process is killed or the machine loses power.
///
/// Written to `PATH.tmp` in the same folder, which the next AtomicFile of this path replaces.
/// Threads:  one process at a time for each path.
class AtomicFile {
 public:
  /// `flag` stands before the path in messages, as in "--save". A symbolic link is followed.
  /// Errors: Error that names flag, path, reason and what to do, here and from all that writes.
  AtomicFile(std::string flag, const std::string& path);

  /// Removes what was written, unless it was committed.
  ~AtomicFile();

  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* bytes, std::size_t size);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }

  /// Puts the file on the disk, then in its place.
  void commit();

 private:
  [[noreturn]] void fail_with(const char* what, int error_number) const;

  std::string flag_;
  std::string path_;
  std::string temporary_;
  int file_ = -1;
};

/// All of a regular file.
/// Errors: InvalidArgument that names `flag`, the path and what to do, if it cannot be read.
std::string read_file(const std::string& flag, const std::string& path);

}  // namespace remat

#include "base/atomic_file.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <remat/error.h>

#include "base/check.h"
#include "base/text.h"

namespace remat {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kMode = 0666;  // less the umask

std::string message_of(int error_number) { return std::generic_category().message(error_number); }

// rename() would replace the link, not what it points to.
std::string without_links(const std::string& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  const auto target = fs::weakly_canonical(path, error);
  return error ? path : target.string();
}

std::string folder_of(const std::string& path) {
  const auto folder = fs::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

}  // namespace

AtomicFile::AtomicFile(std::string flag, const std::string& path)
    : flag_(std::move(flag)), path_(without_links(path)), temporary_(path_ + ".tmp") {
  std::error_code error;
  const auto status = fs::status(path_, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    fail<Error>("{} {}: is not a regular file; name a file", flag_, printable(path_));
  }
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): open takes its mode so
  file_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, kMode);
  if (file_ < 0) fail_with("cannot be written", errno);
}

AtomicFile::~AtomicFile() {
  if (file_ < 0) return;
  close(file_);
  unlink(temporary_.c_str());
}

void AtomicFile::write(const void* bytes, std::size_t size) {
  const auto* next = static_cast<const char*>(bytes);
  while (size > 0) {
    const auto written = ::write(file_, next, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_with("cannot be written", errno);
    next += written;
    size -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  if (fsync(file_) != 0) fail_with("cannot be put on the disk", errno);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail_with("cannot be replaced", errno);
  close(std::exchange(file_, -1));
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): open takes its mode so
  const int folder = open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) fail_with("its folder cannot be opened", errno);
  const int result = fsync(folder);
  const int error_number = errno;
  close(folder);
  // Some file systems have no fsync for folders.
  if (result != 0 && error_number != EINVAL) {
    fail_with("its folder cannot be put on the disk", error_number);
  }
}

void AtomicFile::fail_with(const char* what, int error_number) const {
  fail<Error>(
      "{} {}: {}: {}; nothing that was there before is lost; name a file in a folder that "
      "can be written to and has space",
      flag_, printable(path_), what, message_of(error_number));
}

std::string read_file(const std::string& flag, const std::string& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::is_regular_file(status)) {
    const auto reason = !fs::exists(status) ? (error ? error.message() : message_of(ENOENT))
                                            : std::string("not a regular file");
    fail<InvalidArgument>("{} {}: cannot be read: {}; name a readable file", flag, printable(path),
                          reason);
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string bytes(file ? static_cast<std::size_t>(fs::file_size(path, error)) : 0, '\0');
  if (!file || error || !file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    fail<InvalidArgument>("{} {}: cannot be read: {}; name a readable file", flag, printable(path),
                          message_of(errno == 0 ? EIO : errno));
  }
  return bytes;
}

}  // namespace remat

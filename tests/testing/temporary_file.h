// A file for one test.
#pragma once

#include <fstream>
#include <sstream>
#include <stdlib.h>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace remat::testing {

inline std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// A file with this content, removed again. `suffix` is how its name ends.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content, const std::string& suffix = "")
      : path_(::testing::TempDir() + "rematXXXXXX" + suffix) {
    const int file = mkstemps(path_.data(), static_cast<int>(suffix.size()));
    EXPECT_GE(file, 0) << path_;
    close(file);
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace remat::testing

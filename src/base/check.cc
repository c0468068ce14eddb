#include "base/check.h"

#include <string_view>

namespace remat {
namespace {

// The path from `src/` on: the same on every machine, whatever the build was told __FILE__ is.
std::string_view path_in_repository(std::string_view file) {
  const auto src = file.rfind("/src/");
  return src == std::string_view::npos ? file : file.substr(src + 1);
}

}  // namespace

void assertion_failed(const char* condition, const char* file, int line) {
  fail<Error>(
      "remat: internal error, `{}` does not hold ({}:{}). This is a bug in remat, please report "
      "it.",
      condition, path_in_repository(file), line);
}

}  // namespace remat

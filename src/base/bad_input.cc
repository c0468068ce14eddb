#include "base/bad_input.h"

#include <string_view>

#include "base/check.h"

namespace remat {

void reject(const BadInput& input) {
  std::string_view path = input.path;
  if (path.starts_with('.')) path.remove_prefix(1);
  fail<InvalidArgument>("{}: {}{}expected {}, found {}", input.source, path,
                        path.empty() ? "" : ": ", input.expected, input.found);
}

}  // namespace remat

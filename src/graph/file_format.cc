#include "graph/file_format.h"

#include <fmt/format.h>

namespace remat::graph {

void check_format(const JsonCursor& root, std::string_view format) {
  const auto found = root.at("format");
  if (found.text() != format) found.reject(fmt::format("\"{}\"", format));
}

Bytes read_bytes(const JsonCursor& value) { return Bytes(value.whole_number()); }

std::chrono::nanoseconds read_time(const JsonCursor& value) {
  return std::chrono::nanoseconds(value.whole_number());
}

}  // namespace remat::graph

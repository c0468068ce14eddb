#include "cli/format.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"

namespace remat::cli {
namespace {

constexpr std::string_view kPrefix = "aten::";

}  // namespace

std::string format_clock_ns(std::int64_t ns) {
  const auto seconds = (ns + 500'000'000) / 1'000'000'000;
  const auto minutes = seconds / 60;
  if (minutes < 60) return fmt::format("{}:{:02}", minutes, seconds % 60);
  return fmt::format("{}:{:02}:{:02}", minutes / 60, minutes % 60, seconds % 60);
}

std::string short_op_name(std::string name) {
  for (auto at = name.find(kPrefix); at != std::string::npos; at = name.find(kPrefix, at)) {
    name.erase(at, kPrefix.size());
  }
  return name;
}

std::string wrapped(std::string_view text) {
  std::string lines;
  std::size_t width = 0;  // of the last one
  while (!text.empty()) {
    const auto blank = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, blank);
    const auto columns = display_width(word);
    const bool fits = width + 1 + columns <= kTerminalWidth;
    if (!lines.empty()) lines += fits ? ' ' : '\n';
    lines += word;
    width = (fits && lines.size() > word.size() ? width + 1 : 0) + columns;
    text.remove_prefix(std::min(blank + 1, text.size()));
  }
  return lines;
}

double median(std::vector<double> values) {
  REMAT_ASSERT(!values.empty());
  const auto middle = static_cast<std::ptrdiff_t>(values.size() / 2);
  std::sort(values.begin(), values.end());
  const double upper = values[static_cast<std::size_t>(middle)];
  if (values.size() % 2 == 1) return upper;
  return (values[static_cast<std::size_t>(middle - 1)] + upper) / 2;
}

std::int64_t median_ns(const std::vector<std::int64_t>& values) {
  return std::llround(median(std::vector<double>(values.begin(), values.end())));
}

}  // namespace remat::cli

#include "cli/progress.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

namespace remat::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kUsualWidth = 80;

bool stderr_is_terminal() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

std::size_t terminal_width() {
  winsize size{};
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): ioctl takes its argument so
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualWidth;
  return size.ws_col;
}

}  // namespace

std::string fit(const std::vector<std::string>& fields, std::size_t width) {
  std::string line = fields.front().substr(0, width);
  for (auto field = fields.begin() + 1; field != fields.end(); ++field) {
    if (line.size() + 2 + field->size() > width) break;
    line += "  " + *field;
  }
  return line;
}

Progress::Progress(Elsewhere elsewhere)
    : terminal_(stderr_is_terminal()), silent_(!terminal_ && elsewhere == Elsewhere::kNothing) {}

Progress::~Progress() {
  if (drawn_ && terminal_) std::cerr << std::endl;
}

bool Progress::due() const {
  if (silent_) return false;
  if (!drawn_) return true;
  const auto now = Clock::now();
  if (terminal_) return now - shown_ >= milliseconds(100);
  const Clock::duration interval =
      std::clamp<Clock::duration>((now - start_) / 20, seconds(5), seconds(60));
  return now - shown_ >= interval;
}

void Progress::show(const std::vector<std::string>& fields) {
  if (silent_) return;
  if (terminal_) {
    // The last column stays free: some terminals wrap as soon as it is written.
    const auto width = std::max<std::size_t>(terminal_width(), 2) - 1;
    std::cerr << '\r' << fit(fields, width) << "\x1b[K" << std::flush;
  } else {
    std::cerr << fit(fields, std::string::npos) << std::endl;
  }
  drawn_ = true;
  shown_ = Clock::now();
}

}  // namespace remat::cli

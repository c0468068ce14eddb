// Progress on stderr: one line redrawn on a terminal, now and then a plain line elsewhere.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace remat::cli {

/// `fields` in order, two spaces apart, as many of the first ones as `width` columns take; at least
/// one, cut to `width` if it must be.
std::string fit(const std::vector<std::string>& fields, std::size_t width);

/// The progress of one job, shown while it lives.
class Progress {
 public:
  enum class Elsewhere { kPlainLines, kNothing };

  /// `elsewhere`: what to show where stderr is not a terminal.
  explicit Progress(Elsewhere elsewhere);

  /// Leaves what was drawn last on a line of its own.
  ~Progress();

  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// True if the next show() is worth its line: the first, then at most ten a second on a terminal
  /// and one in five seconds elsewhere, fewer as the job grows long.
  bool due() const;

  /// Shows `fields`, the most important first: a narrow terminal gets only those that fit.
  void show(const std::vector<std::string>& fields);

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  bool silent_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_;
};

}  // namespace remat::cli

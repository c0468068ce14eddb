// Numbers on the command line, as CLI11 validators. CLI11's own conversions read "010" as eight and
// clamp what does not fit.
#pragma once

#include <cstdint>

#include <CLI/CLI.hpp>

namespace remat::cli {

/// Accepts decimal whole numbers from `min` to `max`.
CLI::Validator whole_number(std::int64_t min, std::int64_t max);

/// Accepts finite decimal numbers, `nan` and `inf` not among them.
CLI::Validator finite_number();

/// Accepts finite decimal numbers, zero and above.
CLI::Validator number_from_zero();

/// Accepts finite decimal numbers above zero.
CLI::Validator positive_number();

}  // namespace remat::cli

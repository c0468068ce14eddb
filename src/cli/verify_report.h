// What `remat verify` prints.
#pragma once

#include <string>

#include "cli/verify.h"

namespace remat::cli {

/// {"plain": {...}, "runs": [{...}, ...]}: bytes and nanoseconds as integers, medians of the repeats.
/// "rss_peak_bytes" is null where it was not measured; only runs within a budget have "budget_bytes",
/// "predicted_peak_bytes" and "lower_bound_overhead_percent".
std::string json_report(const Verification& verification);

/// A line on what was run, a table, and the verdict.
std::string text_report(const Verification& verification, const VerifyOptions& options,
                        std::int64_t parameters);

}  // namespace remat::cli

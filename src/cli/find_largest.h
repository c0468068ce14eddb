// `remat train --find-largest`: the largest batch or sequence that fits into memory.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include <remat/bytes.h>
#include <remat/placement.h>

#include "cli/exit_status.h"
#include "cli/run_options.h"
#include "models/decoder_config.h"

namespace remat::cli {

enum class Dimension { kBatch, kSeq };
inline constexpr std::array<models::Named<Dimension>, 2> kDimensions = {
    {{"batch", Dimension::kBatch}, {"seq", Dimension::kSeq}}};

struct FindOptions {
  std::optional<Dimension> dimension;  ///< none: do not find, train
  Bytes memory;
  std::vector<Placement> policies = {Placement::none(), Placement::every(2), Placement::sqrt(),
                                     Placement::full()};
};

/// Adds --find-largest.
void add_find_flags(CLI::App& verb, FindOptions& options);

/// Measures training steps of `run` at growing sizes under each policy and prints the largest that fit.
/// kNoPlanFits, with the least memory that would do on stderr, if not even 1 fits under any.
/// Errors: as Workload.
ExitStatus find_largest(const FindOptions& options, const RunOptions& run);

}  // namespace remat::cli
